"""Our side of `benchmarks.pipeline`, and the data of both sides."""

import os
from typing import TYPE_CHECKING

from components.raster.tensorflow_import import import_tensorflow
from components.raster.unscanned import unscanned_imports
from pipelines.config.beam import IN_PROCESS
from pipelines.config.tree import PipelineConfig, load_config

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline


def prepare(folder: str) -> None:
    """Makes the images, and the records on which both sides train."""
    import apache_beam as beam

    from components.ingest.executor import run_ingest
    from components.ingest.fingerprint import fingerprint_dataset
    from pipelines.demo.collection import Collection, make_collection
    from pipelines.starter.propose import propose_source, starter_config

    source = os.path.join(folder, "tiny")
    make_collection(source, Collection(scenes=3, tiles=1, broken=False))
    text = starter_config(propose_source(source), "tiny", _config_path(folder), epochs=1)
    with open(_config_path(folder), "w", encoding="utf-8") as file:
        file.write(text.replace("{kind: small_cnn}", "{kind: small_cnn, filters: [8, 16]}"))
    ingest = config_of(folder).ingest
    examples = os.path.join(folder, "examples")
    fingerprint = fingerprint_dataset(ingest.source)
    run_ingest(ingest, fingerprint, examples, os.path.join(folder, "rejects"), beam.Pipeline)
    os.makedirs(os.path.join(folder, "stock"))


def run(folder: str, number: str) -> None:
    """Runs our nodes that have counterparts in stock TFX: no gates, no infra check.

    Libraries are imported as `skymill run` imports them.
    """
    with unscanned_imports():
        import_tensorflow()
        from pipelines.local.run_local import run_local

        pipeline = _pipeline(folder, number)
    run_local(pipeline, number, lambda node: None)


def _pipeline(folder: str, number: str) -> "Pipeline":
    from tfx.components.example_validator.component import ExampleValidator
    from tfx.orchestration import metadata
    from tfx.orchestration.pipeline import Pipeline

    from components.baseline.component import Baseline
    from components.evaluation.component import Evaluation
    from components.ingest.component import Ingest
    from components.push.component import Push
    from components.schema.component import Schema
    from components.statistics.component import Statistics
    from pipelines.definition.resolve import resolve
    from pipelines.definition.training import learning_of, trainer_node

    config = config_of(folder)
    inputs = resolve(config)
    root = os.path.join(folder, "ours", number)
    ingest = Ingest(config.ingest, inputs.fingerprint)
    examples = ingest.outputs["examples"]
    statistics = Statistics(examples, config.statistics)
    schema = Schema(statistics.outputs["statistics"], config.schema_, inputs.schema_sha256)
    validator = ExampleValidator(statistics.outputs["statistics"], schema.outputs["schema"])
    trainer = trainer_node(config, examples, schema.outputs["schema"], learning_of(config, inputs))
    baseline = Baseline(f"{root}-pushed", config.baseline)
    evaluation = Evaluation(
        examples, trainer.outputs["model"], config.evaluation, baseline.outputs["baseline"]
    )
    push = Push(
        model=trainer.outputs["model"],
        evaluation=evaluation.outputs["evaluation"],
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
        baseline=baseline.outputs["baseline"],
        config=config.push,
        model_base=f"{root}-pushed",
        fingerprint=inputs.fingerprint,
    )
    return Pipeline(
        pipeline_name="tiny",
        pipeline_root=root,
        components=[ingest, statistics, schema, validator, trainer, baseline, evaluation, push],
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            os.path.join(root, "metadata.sqlite")
        ),
        beam_pipeline_args=list(IN_PROCESS),
    )


def _config_path(folder: str) -> str:
    return os.path.join(folder, "tiny.yaml")


def config_of(folder: str) -> PipelineConfig:
    return load_config(_config_path(folder))
