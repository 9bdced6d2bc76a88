"""Statistics of a small set: this project's against TFDV's, in one run.

    python -m benchmarks statistics [--examples 20000] [--rounds 5]

- TFDV default: as in stock StatisticsGen, a Beam pipeline over every feature, also image bytes.
- TFDV without image bytes: the same on a schema of the other features, as an expert writes it.

Both sides of TFDV run on Beam's in-process runner. All read the same TFRecords, which hold JPEGs of
64 x 64 pixels, and take turns (`benchmarks.sides`).
"""

import argparse
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_data_validation as tfdv
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import Image
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.tfxio import tf_example_record

from benchmarks.sides import Rounds, machine_load, take_turns
from components.node.records import shards
from components.statistics.compute import in_memory
from pipelines.config.beam import IN_PROCESS

DEFAULT, WITHOUT_BYTES, OURS = "TFDV default", "TFDV without image bytes", "skymill"
#: Minimum that each ratio should reach.
GOALS = {DEFAULT: 10, WITHOUT_BYTES: 3}
IMAGE = "image/encoded"
SHARDS = 4


def main() -> None:
    """Prints the rates of all sides and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, machine_load():
        write_examples(Path(folder), args.examples)
        paths = shards(folder)
        pattern, schema = f"{folder}/data-*", schema_without_image(paths[0])

        sides: dict[str, Callable[[], object]] = {
            DEFAULT: lambda: tfdv.generate_statistics_from_tfrecord(
                pattern, pipeline_options=runner()
            ),
            WITHOUT_BYTES: lambda: projected(pattern, schema),
            OURS: lambda: in_memory(paths),
        }
        for run in sides.values():
            run()  # first calls load and trace
        report(take_turns(sides, args.rounds), args.examples)


def report(rounds: Rounds, examples: int) -> None:
    """Prints the rates and the ratios."""
    for name in rounds.sides:
        cost = rounds.typical(name)
        print(
            f"{name:>26}: {cost.wall:6.2f} s, {cost.cpu:.2f} s of processor time  "
            f"{examples / cost.wall:10,.0f} examples/s"
        )
    for name, goal in GOALS.items():
        print(f"skymill / {name}: {rounds.ratio(name, OURS)} (aim: at least {goal})")
        print(f"the same in processor time: {rounds.ratio(name, OURS, 'cpu')}")


def runner() -> PipelineOptions:
    """Returns Beam's options for its in-process runner; by default Beam first tries Prism."""
    return PipelineOptions(IN_PROCESS[:1])


def projected(pattern: str, schema: schema_pb2.Schema) -> None:
    """Runs TFDV on the features of a schema only; the others are never decoded."""
    source = tf_example_record.TFExampleRecord(
        file_pattern=pattern, schema=schema, telemetry_descriptors=["benchmark"]
    )
    with tempfile.TemporaryDirectory() as folder, beam.Pipeline(options=runner()) as pipeline:
        _ = (
            pipeline
            | source.BeamSource()
            | tfdv.GenerateStatistics(tfdv.StatsOptions(schema=schema))
            | tfdv.WriteStatisticsToTFRecord(f"{folder}/statistics.tfrecord")
        )


def schema_without_image(path: str) -> schema_pb2.Schema:
    """Returns a schema of every feature of a file's first example except the image's bytes."""
    first = next(iter(tf.data.TFRecordDataset(path).take(1)))
    kinds = {
        "bytes_list": schema_pb2.BYTES,
        "int64_list": schema_pb2.INT,
        "float_list": schema_pb2.FLOAT,
    }
    schema = schema_pb2.Schema()
    for name, value in sorted(tf.train.Example.FromString(first.numpy()).features.feature.items()):
        if name != IMAGE:
            schema.feature.add(name=name, type=kinds[value.WhichOneof("kind")])
    return schema


def write_examples(folder: Path, count: int) -> None:
    """Writes examples as ingest does, around a few hundred distinct real JPEGs."""
    random = np.random.default_rng(7)
    images = [_jpeg(random) for _ in range(256)]
    for shard in range(SHARDS):
        path = folder / f"data-{shard:05d}-of-{SHARDS:05d}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for index in range(shard, count, SHARDS):
                writer.write(_example(index, images[index % len(images)], random))


def _jpeg(random: np.random.Generator) -> bytes:
    coarse = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def _example(index: int, image: bytes, random: np.random.Generator) -> bytes:
    label = int(random.integers(10))
    strings = {
        IMAGE: image,
        "image/format": b"jpeg",
        "image/key": b"class_%d/%06d.jpg" % (label, index),
        "image/sha256": random.bytes(32).hex().encode(),
        "label/text": b"class_%d" % label,
        "slice/region": b"region_%d" % random.integers(5),
    }
    integers = {"image/height": 64, "image/width": 64, "image/channels": 3, "label": label}
    floats = {"image/brightness": random.normal(120, 20), "image/sharpness": random.gamma(2, 5)}
    for band in range(3):
        floats[f"image/mean_{band}"] = random.normal(120, 20)
        floats[f"image/stddev_{band}"] = random.gamma(9, 5)
    example = tf.train.Example()
    for name, text in strings.items():
        example.features.feature[name].bytes_list.value.append(text)
    for name, number in integers.items():
        example.features.feature[name].int64_list.value.append(number)
    for name, real in floats.items():
        example.features.feature[name].float_list.value.append(real)
    serialized: bytes = example.SerializeToString()
    return serialized
