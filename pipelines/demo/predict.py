"""Serves the pushed model and predicts images of the test split over gRPC and REST."""

import glob
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.ingest.records.record import Record
from components.ingest.sources import family_of
from components.raster import example as spec
from pipelines.config.tree import PipelineConfig
from pipelines.local.console import plain_table
from pipelines.local.record import RunRecord
from serving.client import FileResult, connect
from serving.server.process import serve_in_subprocess
from serving.tasks.single_label.answer import Prediction

_OF_EACH_CLASS = 2


def show_predictions(config: PipelineConfig, record: RunRecord, console: Console) -> None:
    """Serves the pushed versions with the embedded server and prints both protocols' answers."""
    ingest = record.node("Ingest")
    keys = _test_keys(ingest.uri("examples")) if ingest else set()
    records = _few(family_of(config.ingest.source).find().records, keys)
    paths = [Path(item.uri) for item in records]
    with serve_in_subprocess(Path(config.model_base), model_name=config.name) as server:
        over_grpc, over_rest = (
            _predict(address, config.name, paths) for address in (server.grpc, server.rest)
        )
    console.print(_table(records, over_grpc, over_rest))


def _test_keys(examples_uri: str) -> set[str]:
    """Returns the keys of the test split, on which the model was not trained."""
    import tensorflow as tf

    files = sorted(glob.glob(f"{examples_uri}/Split-test/*"))
    features = {spec.KEY: tf.io.FixedLenFeature([], tf.string)}
    records = tf.data.TFRecordDataset(files).map(lambda one: tf.io.parse_example(one, features))
    return {item[spec.KEY].decode() for item in records.as_numpy_iterator()}


def _few(records: Sequence[Record], keys: set[str]) -> list[Record]:
    """Returns a few records of each class, spread over the test split."""
    by_class: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda item: item.key):
        if record.key in keys:
            by_class.setdefault(record.label or "", []).append(record)
    few = []
    for name in sorted(by_class):
        of_class = by_class[name]
        few += of_class[:: max(1, len(of_class) // _OF_EACH_CLASS)][:_OF_EACH_CLASS]
    return few


def _predict(address: str, model: str, paths: Sequence[Path]) -> list[FileResult]:
    with connect(address, model=model) as client:
        return list(client.predict_files(paths))


def _table(
    records: Sequence[Record], over_grpc: Sequence[FileResult], over_rest: Sequence[FileResult]
) -> Table:
    table = plain_table("image", "labelled", "over gRPC", "over REST", whole=("image",))
    for record, *answers in zip(records, over_grpc, over_rest, strict=True):
        cells = (record.key, record.label or "", *(_words(answer) for answer in answers))
        table.add_row(*map(escape, cells))
    return table


def _words(result: FileResult) -> str:
    if result.prediction is None:
        return f"refused: {result.error}"
    assert isinstance(result.prediction, Prediction), "the demo's images have one class each"
    name = result.prediction.class_name
    return f"{name} {result.prediction.probabilities[name]:.2f}"
