"""The two sides of `benchmarks.pipeline`, each run as its own process."""

import csv
import os
import sys
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor

from pipelines.config.beam import IN_PROCESS
from pipelines.config.tree import PipelineConfig, load_config


def prepare(folder: str) -> None:
    """Makes the images, and the records on which both sides train."""
    from components.ingest.executor import run_ingest
    from components.ingest.fingerprint import fingerprint_dataset
    from pipelines.demo.collection import Collection, make_collection
    from pipelines.starter.propose import propose_source, starter_config

    source = os.path.join(folder, "tiny")
    make_collection(source, Collection(scenes=3, tiles=1, broken=False))
    text = starter_config(propose_source(source), "tiny", _config_path(folder), epochs=1)
    with open(_config_path(folder), "w", encoding="utf-8") as file:
        file.write(text.replace("{kind: small_cnn}", "{kind: small_cnn, filters: [8, 16]}"))
    ingest = _config(folder).ingest
    examples = os.path.join(folder, "examples")
    fingerprint = fingerprint_dataset(ingest.source)
    run_ingest(ingest, fingerprint, examples, os.path.join(folder, "rejects"), beam.Pipeline)
    os.makedirs(os.path.join(folder, "stock"))


def ours(folder: str, number: str) -> None:
    """Runs our nodes for the work that stock TFX has nodes for: no gates, no infra check."""
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
    from pipelines.local.run_local import run_local

    config = _config(folder)
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
    pipeline = Pipeline(
        pipeline_name="tiny",
        pipeline_root=root,
        components=[ingest, statistics, schema, validator, trainer, baseline, evaluation, push],
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            os.path.join(root, "metadata.sqlite")
        ),
        beam_pipeline_args=list(IN_PROCESS),
    )
    run_local(pipeline, number, lambda node: None)


def stock(folder: str, number: str) -> None:
    """Runs the same work with stock TFX components."""
    import tensorflow_model_analysis as tfma
    from tfx import v1 as tfx
    from tfx.components import FileBasedExampleGen
    from tfx.dsl.components.base import executor_spec

    config = _config(folder)
    examples = FileBasedExampleGen(
        input_base=os.path.join(folder, "tiny"),
        output_config=tfx.proto.Output(
            split_config=tfx.proto.SplitConfig(
                splits=[
                    tfx.proto.SplitConfig.Split(name=name, hash_buckets=buckets)
                    for name, buckets in (("train", 7), ("eval", 1), ("test", 2))
                ],
                partition_feature_name="slice/group",
            )
        ),
        custom_executor_spec=executor_spec.BeamExecutorSpec(ManifestExecutor),
    )
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"])
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    trainer = tfx.components.Trainer(
        run_fn="benchmarks.pipeline_sides.run_fn",
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["eval"]),
        custom_config={
            "train": config.train.model_dump_json(),
            "image": config.ingest.image.model_dump_json(),
            "examples": os.path.join(folder, "examples"),
        },
    )
    evaluator = tfx.components.Evaluator(
        examples=examples.outputs["examples"],
        model=trainer.outputs["model"],
        example_splits=["test"],
        eval_config=tfma.EvalConfig(
            model_specs=[
                tfma.ModelSpec(
                    signature_name="serving_examples",
                    label_key="label",
                    prediction_key="probabilities",
                )
            ],
            slicing_specs=[
                tfma.SlicingSpec(),
                tfma.SlicingSpec(feature_keys=["slice/region"]),
                tfma.SlicingSpec(feature_keys=["slice/date"]),
            ],
            metrics_specs=[
                tfma.MetricsSpec(
                    metrics=[
                        tfma.MetricConfig(class_name="ExampleCount"),
                        tfma.MetricConfig(
                            class_name="SparseCategoricalAccuracy",
                            threshold=tfma.MetricThreshold(
                                value_threshold=tfma.GenericValueThreshold(
                                    lower_bound={"value": 0.0}
                                )
                            ),
                        ),
                    ]
                )
            ],
        ),
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(
                base_directory=os.path.join(folder, "stock-pushed" + number)
            )
        ),
    )
    root = os.path.join(folder, "stock", number)
    tfx.orchestration.LocalDagRunner().run(
        tfx.dsl.Pipeline(
            pipeline_name="tiny",
            pipeline_root=root,
            components=[examples, statistics, schema, validator, trainer, evaluator, pusher],
            metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
                os.path.join(root, "metadata.sqlite")
            ),
            beam_pipeline_args=list(IN_PROCESS),
        )
    )


class ManifestExecutor(BaseExampleGenExecutor):
    """Reads the images that a manifest names, as TFX's guide to custom ExampleGens has it."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:
        return _examples_of_manifest


@beam.ptransform_fn
@beam.typehints.with_input_types(beam.Pipeline)
@beam.typehints.with_output_types(tf.train.Example)
def _examples_of_manifest(
    pipeline: beam.Pipeline, exec_properties: dict[str, Any], split_pattern: str
) -> beam.PCollection:
    base = exec_properties["input_base"]
    with open(os.path.join(base, "manifest.csv"), encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    classes = {name: index for index, name in enumerate(sorted({row["label"] for row in rows}))}
    return pipeline | beam.Create(rows) | beam.Map(_example, base, classes)


def _example(row: dict[str, str], base: str, classes: dict[str, int]) -> tf.train.Example:
    with open(os.path.join(base, row["uri"]), "rb") as file:
        image = file.read()
    values = {
        "image/encoded": image,
        "label/text": row["label"].encode(),
        "slice/group": row["group"].encode(),
        "slice/region": row["region"].encode(),
        "slice/date": row["date"].encode(),
    }
    feature = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in values.items()
    }
    label = tf.train.Int64List(value=[classes[row["label"]]])
    feature["label"] = tf.train.Feature(int64_list=label)
    return tf.train.Example(features=tf.train.Features(feature=feature))


def run_fn(fn_args: Any) -> None:
    """Runs our training for stock TFX, on the records of `prepare`.

    Both sides then train on equal data, however their splits fall.
    """
    from trainer.run import run_fn as train

    records = fn_args.custom_config["examples"]
    fn_args.train_files = [os.path.join(records, "Split-train", "*")]
    fn_args.eval_files = [os.path.join(records, "Split-eval", "*")]
    train(fn_args)


def _config_path(folder: str) -> str:
    return os.path.join(folder, "tiny.yaml")


def _config(folder: str) -> PipelineConfig:
    return load_config(_config_path(folder))


if __name__ == "__main__":
    side, folder, number = sys.argv[1:]
    if side == "prepare":
        prepare(folder)
    else:
        {"ours": ours, "stock": stock}[side](folder, number)
