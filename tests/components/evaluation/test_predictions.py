"""The table of predictions: its file, its order, and what it refuses."""

import io
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.evaluation.prediction_runs import RunWriter, merged_runs, runs_folder
from components.evaluation.predictions import (
    Head,
    PredictionRow,
    PredictionTable,
    write_predictions,
)
from components.raster.errors import DataError

HEAD = Head("single_label", ("Forest", "River"), ("region",))


def test_other_tools_read_the_table_and_our_reader_gives_back_every_row() -> None:
    rows = [
        PredictionRow(
            "a.jpg",
            group="farm-7",
            truth="River",
            answer="Forest",
            confidence=0.75,
            score=0.0,
            loss=1.5,
            probabilities=(0.75, 0.25),
            longitude=11.5,
            latitude=48.25,
            slices={"region": "north"},
        ),
        PredictionRow("b.jpg", truth="", slices={"region": None}),
    ]
    file = io.BytesIO()
    write_predictions(file, HEAD, rows)
    predictions = PredictionTable(file)
    assert predictions.head == HEAD
    assert [(r.key, r.truth, r.group) for r in predictions] == [
        ("a.jpg", "River", "farm-7"),
        ("b.jpg", "", None),
    ]
    first = next(iter(predictions))
    assert first.probabilities == [0.75, 0.25]
    assert first.slices == {"region": "north"}
    lean = [replace(row, probabilities=None) for row in predictions]
    assert list(predictions.without_probabilities()) == lean
    table = pq.read_table(file)
    assert table.column("slice:region").to_pylist() == ["north", None]
    assert table.schema.field("confidence").type == pa.float32()


def test_what_is_no_table_of_predictions_is_refused_with_the_reason(tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    for content, reason in (
        (None, "no such file"),
        (b"key,answer", "not a Parquet file"),
        (pa.table({"key": ["a"]}), "metadata lacks"),
        (pa.table({"key": ["a"]}).replace_schema_metadata(HEAD.schema.metadata), "columns"),
    ):
        if isinstance(content, bytes):
            other.write_bytes(content)
        elif content is not None:
            pq.write_table(content, other)
        with pytest.raises(DataError, match=reason):
            PredictionTable(other)


def test_runs_of_several_workers_become_one_file_in_the_order_of_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.evaluation.prediction_runs._ROWS", 4)
    monkeypatch.setattr("components.evaluation.prediction_runs._OPEN", 2)
    numbers = [(7 * index) % 30 for index in range(30)]
    for worker in range(3):
        writer = RunWriter(runs_folder(str(tmp_path)), f"part-{worker}", HEAD)
        for number in numbers[worker::3]:
            writer.add(PredictionRow(f"{number:02d}", truth="River"))
        writer.flush()
    with merged_runs(str(tmp_path), HEAD) as found:
        assert [row.key for row in found] == [f"{number:02d}" for number in range(30)]
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.parquet"]
    assert len(PredictionTable(tmp_path / "predictions.parquet")) == 30
