"""Stock TFX's side of `benchmarks.pipeline`."""

import csv
import os
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor

from benchmarks.pipeline_ours import config_of
from pipelines.config.beam import IN_PROCESS


def run(folder: str, number: str, *beam_args: str) -> None:
    """Runs the same work with stock TFX components."""
    import tensorflow_model_analysis as tfma
    from tfx import v1 as tfx
    from tfx.components import FileBasedExampleGen
    from tfx.dsl.components.base import executor_spec

    config = config_of(folder)
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
        run_fn="benchmarks.pipeline_stock.run_fn",
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
            beam_pipeline_args=[*IN_PROCESS, *beam_args],
        )
    )


class ManifestExecutor(BaseExampleGenExecutor):
    """Reads the images that a manifest names, as in TFX's guide to custom ExampleGens."""

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

    So both sides train on equal data, whatever their splits are.
    """
    from trainer.run import run_fn as train

    records = fn_args.custom_config["examples"]
    fn_args.train_files = [os.path.join(records, "Split-train", "*")]
    fn_args.eval_files = [os.path.join(records, "Split-eval", "*")]
    train(fn_args)
