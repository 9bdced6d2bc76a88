"""Execution properties that the step Prepare computes when a run starts."""

from collections.abc import Mapping

from pipelines.config.tree import PipelineConfig

#: The task that runs before all nodes, and its parameter with the configuration.
NODE = "Prepare"
CONFIG = "config"

#: Execution properties (node, property) that are known only when the run starts, and the output
#: parameter of this step that holds each.
PREPARED: Mapping[tuple[str, str], str] = {
    ("Ingest", "config"): "ingest_config",
    ("Ingest", "fingerprint"): "fingerprint",
    ("Schema", "accepted_sha256"): "schema_sha256",
    ("Trainer", "custom_config"): "trainer_config",
    ("Tuner", "custom_config"): "tuner_config",
    ("Baseline", "model_base"): "model_base",
    ("Push", "config"): "push_config",
    ("Push", "model_base"): "model_base",
    ("Push", "fingerprint"): "fingerprint",
    ("Push", "span"): "span",
    ("RunPage", "fingerprint"): "fingerprint",
}


def prepared(config: PipelineConfig) -> dict[tuple[str, str], str]:
    """Selects from `PREPARED` the nodes that the pipeline has: there may be nothing to tune."""
    return {
        (node, name): key
        for (node, name), key in PREPARED.items()
        if node != "Tuner" or config.tune is not None
    }
