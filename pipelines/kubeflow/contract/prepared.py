"""Execution properties that the step Prepare computes when a run starts."""

from collections.abc import Mapping

from pipelines.config.tree import PipelineConfig
from pipelines.definition.extensions import has_extension
from pipelines.definition.kinds import Kind

#: The task that runs before all nodes, and its parameter with the configuration.
NODE = "Prepare"
CONFIG = "config"
#: Its output parameter with a failure that another attempt would repeat, and the task that stops
#: the run on it. As with gates, the step itself succeeds, since Kubeflow retries whatever fails.
FAILURE = "failure"
STOP = "StopOnInputs"

#: The node of the prediction pipeline that depends on them.
PREDICT = "Predict"

#: Execution properties (node, property) that are known only when the run starts, and the output
#: parameter of this step that holds each.
PREPARED: Mapping[tuple[str, str], str] = {
    ("Ingest", "config"): "ingest_config",
    ("Ingest", "fingerprint"): "fingerprint",
    ("Schema", "accepted_sha256"): "schema_sha256",
    ("Trainer", "custom_config"): "trainer_config",
    ("Tuner", "custom_config"): "tuner_config",
    ("Evaluation", "code"): "evaluation_code",
    ("OwnGates", "code"): "gates_code",
    ("Baseline", "model_base"): "model_base",
    ("Push", "config"): "push_config",
    ("Push", "model_base"): "model_base",
    ("Push", "fingerprint"): "fingerprint",
    ("Push", "span"): "span",
    ("RunPage", "fingerprint"): "fingerprint",
    (PREDICT, "config"): "prediction_config",
    (PREDICT, "fingerprint"): "fingerprint",
    (PREDICT, "model_base"): "model_base",
}


def prepared(config: PipelineConfig, kind: Kind = "training") -> dict[tuple[str, str], str]:
    """Selects those properties of `PREPARED` that the pipeline has.

    There may be nothing to tune, and no code of the user's own.
    """
    if kind == "prediction":
        return {place: key for place, key in PREPARED.items() if place[0] == PREDICT}
    absent = set() if config.tune is not None else {("Tuner", "custom_config")}
    absent |= {
        (node, "code")
        for node, section in (("Evaluation", "evaluation"), ("OwnGates", "gates"))
        if not has_extension(config, section)
    }
    return {
        place: key for place, key in PREPARED.items() if place not in absent and place[0] != PREDICT
    }
