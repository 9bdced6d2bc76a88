"""The pipeline from images to a pushed model, defined once for every place that runs it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tfx.components.example_validator.component import ExampleValidator
from tfx.components.trainer.component import Trainer
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2
from tfx.types import BaseChannel

from components.baseline.component import Baseline
from components.data_check.component import DataCheck
from components.evaluation.component import Evaluation
from components.gate.component import Stop, StopOnRejects
from components.infra_check.component import InfraCheck
from components.ingest.component import Ingest
from components.push.component import Push
from components.schema.component import Schema
from components.statistics.component import Statistics
from pipelines.config.tree import PipelineConfig
from pipelines.definition.about import about
from pipelines.definition.extensions import has_extension
from pipelines.definition.resolve import RunInputs
from pipelines.definition.workspace import Workspace
from pipelines.gates.component import OwnGates
from pipelines.page.component import RunPage
from trainer.tune.run import Tuner

_TUNER_FN = "trainer.tune.run.tuner_fn"
#: Splits for training and validation; only the evaluation reads the test split.
_SPLITS = {
    "train_args": trainer_pb2.TrainArgs(splits=["train"]),
    "eval_args": trainer_pb2.EvalArgs(splits=["eval"]),
}


@dataclass(frozen=True)
class TrainerFn:
    """Function that TFX's Trainer calls: its dotted path, and settings besides the training's."""

    path: str = "trainer.run.run_fn"
    settings: Mapping[str, str] = field(default_factory=dict)


#: Trains in the Trainer's own process.
_HERE = TrainerFn()


def create_pipeline(config: PipelineConfig, inputs: RunInputs) -> Pipeline:
    """Builds the TFX pipeline without reading data or running anything.

    Args:
        config: the whole configuration.
        inputs: the external state from `resolve`.
    """
    workspace = Workspace(config.workspace)
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=workspace.artifacts,
        components=pipeline_nodes(config, inputs),
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(workspace.metadata),
        beam_pipeline_args=list(config.beam.options),
    )


def pipeline_nodes(
    config: PipelineConfig,
    inputs: RunInputs,
    checkpoint_root: str | None = None,
    tuning_root: str | None = None,
    trainer_fn: TrainerFn = _HERE,
) -> list[BaseNode]:
    """Builds the nodes in topological order; both roots default to the workspace's."""
    ingest = Ingest(config.ingest, inputs.fingerprint)
    on_rejects = StopOnRejects(ingest.outputs["rejects"])
    examples = ingest.outputs["examples"]

    statistics = Statistics(examples, config.statistics)
    statistics.add_upstream_node(on_rejects)
    schema = _schema(config, statistics.outputs["statistics"], inputs.schema_sha256)
    validator = ExampleValidator(statistics.outputs["statistics"], schema.outputs["schema"])
    baseline = Baseline(config.model_base, config.baseline, nonce=inputs.served or None)
    data_check = DataCheck(
        examples=examples,
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
        anomalies=validator.outputs["anomalies"],
        baseline=baseline.outputs["baseline"],
        config=config.data_check,
    )
    on_anomalies = Stop(data_check.outputs["report"]).with_id("StopOnAnomalies")

    learning = learning_of(config, inputs)
    tuner = tuner_node(config, examples, schema.outputs["schema"], learning, tuning_root)
    best = tuner.outputs["best_hyperparameters"] if tuner else None
    trainer = trainer_node(
        config, examples, schema.outputs["schema"], learning, checkpoint_root, best, trainer_fn
    )
    for node in filter(None, (tuner, trainer)):
        node.add_upstream_node(on_anomalies)
    evaluation = Evaluation(
        examples,
        trainer.outputs["model"],
        config.evaluation,
        baseline.outputs["baseline"],
        code=_code(config, inputs, "evaluation"),
    )
    page = RunPage(
        title=config.name,
        fingerprint=inputs.fingerprint,
        examples=examples,
        rejects=ingest.outputs["rejects"],
        statistics=statistics.outputs["statistics"],
        baseline=baseline.outputs["baseline"],
        data_report=data_check.outputs["report"],
        model=trainer.outputs["model"],
        model_run=trainer.outputs["model_run"],
        evaluation=evaluation.outputs["evaluation"],
        evaluation_report=evaluation.outputs["report"],
    )
    on_metrics = Stop(evaluation.outputs["report"]).with_id("StopOnMetrics")
    on_metrics.add_upstream_node(page)
    own_gates = _own_gates(config, inputs, ingest, statistics, data_check, evaluation)
    infra_check = InfraCheck(trainer.outputs["model"], examples, config.infra_check)
    for node in (on_metrics, *own_gates[1:]):
        infra_check.add_upstream_node(node)
    on_answers = Stop(infra_check.outputs["report"]).with_id("StopOnAnswers")
    push = Push(
        model=infra_check.outputs["checked"],
        evaluation=evaluation.outputs["evaluation"],
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
        baseline=baseline.outputs["baseline"],
        config=config.push,
        model_base=config.model_base,
        fingerprint=inputs.fingerprint,
        span=inputs.span,
        endpoint=config.baseline.endpoint,
        about=about(config),
        rejects=ingest.outputs["rejects"],
        data_report=data_check.outputs["report"],
        evaluation_report=evaluation.outputs["report"],
        infra_report=infra_check.outputs["report"],
        own_report=own_gates[0].outputs["report"] if own_gates else None,
    )
    push.add_upstream_node(on_answers)
    return [
        ingest,
        on_rejects,
        statistics,
        schema,
        validator,
        baseline,
        data_check,
        on_anomalies,
        *([tuner] if tuner else []),
        trainer,
        evaluation,
        page,
        on_metrics,
        *own_gates,
        infra_check,
        on_answers,
        push,
    ]


def _own_gates(
    config: PipelineConfig,
    inputs: RunInputs,
    ingest: BaseNode,
    statistics: BaseNode,
    data_check: BaseNode,
    evaluation: BaseNode,
) -> list[BaseNode]:
    """Builds the node of the user's own gates, and the one that stops on them; or none."""
    code = _code(config, inputs, "gates")
    if code is None:
        return []
    gates = OwnGates(
        config.gates,
        code,
        rejects=ingest.outputs["rejects"],
        statistics=statistics.outputs["statistics"],
        data_report=data_check.outputs["report"],
        evaluation=evaluation.outputs["evaluation"],
        evaluation_report=evaluation.outputs["report"],
    )
    return [gates, Stop(gates.outputs["report"]).with_id("StopOnOwnGates")]


def _schema(config: PipelineConfig, statistics: BaseChannel, accepted_sha256: str) -> Schema:
    """Builds the schema node; its classes are those that ingest accepts."""
    classes = config.schema_.classes or config.ingest.classes or ()
    known = config.schema_.model_copy(update={"classes": classes})
    return Schema(statistics, known, accepted_sha256)


def trainer_node(
    config: PipelineConfig,
    examples: BaseChannel,
    schema: BaseChannel,
    learning: Mapping[str, str],
    checkpoint_root: str | None = None,
    hyperparameters: BaseChannel | None = None,
    trainer_fn: TrainerFn = _HERE,
) -> Trainer:
    """Builds TFX's Trainer with the dotted path of a `run_fn`.

    With an empty `checkpoint_root`, checkpoints go to the Trainer's own output.
    """
    if checkpoint_root is None:
        checkpoint_root = Workspace(config.workspace).checkpoints
    return Trainer(
        run_fn=trainer_fn.path,
        examples=examples,
        schema=schema,
        hyperparameters=hyperparameters,
        **_SPLITS,
        custom_config={**learning, **trainer_fn.settings, "checkpoint_root": checkpoint_root},
    )


def tuner_node(
    config: PipelineConfig,
    examples: BaseChannel,
    schema: BaseChannel,
    learning: Mapping[str, str],
    tuning_root: str | None = None,
) -> Tuner | None:
    """Builds TFX's Tuner with the dotted path of our `tuner_fn`; None without a `tune` section.

    With an empty `tuning_root`, the search uses the step's own temporary folder.
    """
    if config.tune is None:
        return None
    if tuning_root is None:
        tuning_root = Workspace(config.workspace).tuning
    return Tuner(
        tuner_fn=_TUNER_FN,
        examples=examples,
        schema=schema,
        **_SPLITS,
        custom_config={
            **learning,
            "tune": config.tune.model_dump_json(),
            "tuning_root": tuning_root,
        },
    )


def learning_of(config: PipelineConfig, inputs: RunInputs) -> dict[str, str]:
    """Returns the training settings in the form that `trainer.run` and `trainer.tune.run` read.

    Neither reads the identity of the user's own code: it is there for the cache key.
    """
    code = _code(config, inputs, "train")
    return {
        "train": config.train.model_dump_json(),
        "image": config.ingest.image.model_dump_json(),
        "task": config.ingest.task,
        **({} if code is None else {"code": code}),
    }


def _code(config: PipelineConfig, inputs: RunInputs, section: str) -> str | None:
    """Returns the identity of a section's own code as JSON; None for a section without any."""
    if not has_extension(config, section):
        return None
    found = {key: it for key, it in inputs.code.items() if key.split(".")[0] == section}
    return json.dumps(found, sort_keys=True)
