"""Metrics of the candidate on corrupted copies of the test examples, as separate slices.

A slice is `corruption=haze,strength=2`. The copies pass through the model like the examples, but in
a separate Beam pipeline, so an evaluation without corruptions costs nothing extra.
"""

import io
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.utils.shared import Shared
from PIL import Image

from components.evaluation.compared_models import CANDIDATE, ComparedModels
from components.evaluation.corruptions import STRENGTHS, CorruptionName, corrupted
from components.evaluation.extracts import LoadedModels, Reading, load, observe
from components.evaluation.failing import reason
from components.evaluation.result import SliceMetrics
from components.evaluation.slices import CORRUPTION, STRENGTH, SliceKey
from components.evaluation.tasks.measures import EXAMPLE_COUNT, class_metric
from components.evaluation.tasks.registry import evaluated_task
from components.node.records import record_batches
from components.raster.errors import DataError
from components.raster.example import ENCODED, FORMAT, KEY, TILE_FORMAT
from components.raster.image import ImageSpec
from components.raster.payload import decode_payload, encode_payload, read_header
from components.raster.scaling import Scaling
from serving.graph.decode import decode_image

_FOLDER = "corruptions"


def corruption_slices(
    corruptions: Sequence[CorruptionName],
    compared: ComparedModels,
    reading: Reading,
    files: Sequence[str],
    output_dir: str,
    make_pipeline: Callable[[], beam.Pipeline],
    shared: Shared,
) -> tuple[SliceMetrics, ...]:
    """Measures the candidate on copies of all examples: a slice for each corruption and strength.

    Args:
        corruptions: their names; empty for no slices.
        compared, reading: as for the examples themselves.
        files: TFRecord files of the examples.
        output_dir: a folder that all workers share, for temporary files.
    """
    if not corruptions:
        return ()
    folder = f"{output_dir}/{_FOLDER}-{uuid.uuid4().hex}"
    tf.io.gfile.makedirs(folder)
    with make_pipeline() as pipeline:
        _ = (
            pipeline
            | "Files" >> beam.Create(list(files))
            | "Corrupt" >> beam.ParDo(_TallyFn(corruptions, compared, reading, shared))
            | "Add" >> beam.CombinePerKey(_MergeFn(compared))
            | "Write" >> beam.ParDo(_WriteFn(compared, folder))
        )
    found = []
    for path in tf.io.gfile.glob(f"{folder}/*.json"):
        with tf.io.gfile.GFile(path) as file:
            document = json.load(file)
        key = tuple((name, str(value)) for name, value in document["key"])
        found.append(SliceMetrics(key, document["metrics"], None, compared.task))
    tf.io.gfile.rmtree(folder)
    return tuple(sorted(found, key=lambda item: item.key))


def corrupted_example(serialized: bytes, name: CorruptionName, strength: int) -> bytes:
    """Returns a copy of an example with a corrupted image and the same truth and key."""
    example = tf.train.Example.FromString(serialized)
    features = example.features.feature
    encoded = features[ENCODED].bytes_list.value[0]
    key = features[KEY].bytes_list.value[0].decode("utf-8", "surrogateescape")
    if features[FORMAT].bytes_list.value[0] == TILE_FORMAT.encode():
        image = _corrupted_tile(encoded, name, strength, key)
    else:
        pixels = decode_image(tf.constant(encoded), ImageSpec()).numpy()
        valid = np.ones(pixels.shape[:2], bool)
        changed, _ = corrupted(pixels, valid, name, strength, key)
        image = _png(changed)
        features[FORMAT].bytes_list.value[:] = [b"png"]
    features[ENCODED].bytes_list.value[:] = [image]
    return bytes(example.SerializeToString())


def _corrupted_tile(encoded: bytes, name: CorruptionName, strength: int, key: str) -> bytes:
    tile, stated = decode_payload(encoded), read_header(encoded).scalings
    pixels, valid = corrupted(tile.pixels, tile.valid, name, strength, key)
    scalings = stated and [Scaling(*map(float, text.split())) for text in stated]
    mask = None if valid.all() else valid
    return encode_payload(pixels, tile.bands, mask, tile.values, scalings or None)


def _png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


class _TallyFn(beam.DoFn):
    """File of examples -> a tally for each corruption and strength."""

    def __init__(
        self,
        corruptions: Sequence[CorruptionName],
        compared: ComparedModels,
        reading: Reading,
        shared: Shared,
    ) -> None:
        (self._model,) = (model for model in compared.models if model.name == CANDIDATE)
        self._paths = tuple(model.path for model in compared.models)
        self._variants = [(name, strength) for name in corruptions for strength in STRENGTHS]
        self._classes, self._reading, self._shared = len(compared.space), reading, shared

    def setup(self) -> None:
        self._loaded: LoadedModels = self._shared.acquire(lambda: load(self._paths))
        self._grouping = self._reading.read_grouping()

    def process(self, path: str) -> Iterator[tuple[SliceKey, Any]]:
        evaluated, served = self._reading.evaluated, self._loaded.by_path[self._model.path]
        tallies = {variant: evaluated.empty(self._classes) for variant in self._variants}
        for batch in record_batches(path, size=self._reading.batch_size):
            for (name, strength), tally in tallies.items():
                copies = [corrupted_example(one, name, strength) for one in batch]
                try:
                    answers = served.answers(copies)
                except Exception as error:  # a graph may raise anything
                    raise DataError(
                        f"the candidate fails on copies with the corruption {name} of strength "
                        f"{strength}: {reason(error)}; remove it from evaluation.corruptions, or "
                        "inspect the model"
                    ) from error
                for index, original in enumerate(batch):
                    answer = {output: values[index] for output, values in answers.items()}
                    example = observe(original, {CANDIDATE: answer}, self._reading, self._grouping)
                    evaluated.add(tally, *example.observations[CANDIDATE], example.seed)
        for (name, strength), tally in tallies.items():
            yield ((CORRUPTION, name), (STRENGTH, str(strength))), tally


class _MergeFn(beam.CombineFn):
    """Tallies of files -> their sum."""

    def __init__(self, compared: ComparedModels) -> None:
        self._task, self._classes = compared.task, len(compared.space)

    def create_accumulator(self) -> Any:
        return evaluated_task(self._task).empty(self._classes)

    def add_input(self, accumulator: Any, element: Any) -> Any:
        return accumulator.merge([element])

    def merge_accumulators(self, accumulators: Iterable[Any]) -> Any:
        return self.create_accumulator().merge(accumulators)

    def extract_output(self, accumulator: Any) -> Any:
        return accumulator


class _WriteFn(beam.DoFn):
    """Tally -> a file with its metrics."""

    def __init__(self, compared: ComparedModels, folder: str) -> None:
        self._task, self._space, self._folder = compared.task, compared.space, folder

    def process(self, element: tuple[SliceKey, Any]) -> None:
        key, tally = element
        evaluated = evaluated_task(self._task)
        bounds = evaluated.bounds(tally, evaluated.replicated(tally).headline)
        metrics = {EXAMPLE_COUNT: float(tally.examples), **evaluated.overall(tally), **bounds}
        for metric, values in evaluated.per_class(tally).items():
            named = zip(self._space, values, strict=True)
            metrics |= {class_metric(metric, name): float(value) for name, value in named}
        name = "-".join(value for _, value in key)
        with tf.io.gfile.GFile(f"{self._folder}/{name}.json", "w") as file:
            json.dump({"key": key, "metrics": metrics}, file)
