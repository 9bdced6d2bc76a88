"""External sort of the workers' predictions into one file.

A worker writes sorted runs of rows, each to a separate file; afterwards the runs are merged. Both
steps hold a few thousand rows in memory, for a split of any size: one run, or a batch of each
file being merged.
"""

import heapq
import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path

import tensorflow as tf

from components.evaluation.predictions import (
    Head,
    PredictionRow,
    PredictionTable,
    write_predictions,
)
from components.node.files import PREDICTIONS_FILE

#: Rows in a run, and runs that are open at the same time.
_ROWS, _OPEN = 4096, 32
_BY_KEY = attrgetter("key")


class RunWriter:
    """Writes the rows of one file of examples as sorted runs into a folder."""

    def __init__(self, folder: str, name: str, head: Head) -> None:
        """Args: `name` of the examples' file, which makes the runs' names unique."""
        self._folder, self._name, self._head = folder, name, head
        self._rows: list[PredictionRow] = []
        self._runs = 0

    def add(self, row: PredictionRow) -> None:
        """Adds one row; writes a run when it is full."""
        self._rows.append(row)
        if len(self._rows) >= _ROWS:
            self.flush()

    def flush(self) -> None:
        """Writes the remaining rows."""
        if not self._rows:
            return
        file = io.BytesIO()
        write_predictions(file, self._head, sorted(self._rows, key=_BY_KEY))
        tf.io.gfile.makedirs(self._folder)
        path = os.path.join(self._folder, f"{self._name}-{self._runs:05d}.parquet")
        with tf.io.gfile.GFile(path, "wb") as target:
            target.write(file.getvalue())
        self._rows, self._runs = [], self._runs + 1


def runs_folder(output_dir: str) -> str:
    """Returns the folder of the runs in the artifact, which `merged_runs` removes."""
    return os.path.join(output_dir, "prediction_runs")


@contextmanager
def merged_runs(output_dir: str, head: Head) -> Iterator[PredictionTable]:
    """Merges the runs of an artifact into its file of predictions, yields it and removes them."""
    source = runs_folder(output_dir)
    with tempfile.TemporaryDirectory(prefix="skymill-predictions-") as folder:
        runs = []
        for name in sorted(tf.io.gfile.listdir(source)) if tf.io.gfile.isdir(source) else ():
            runs.append(Path(folder, name))
            tf.io.gfile.copy(os.path.join(source, name), str(runs[-1]))
        merged = _merged(runs, head, Path(folder))
        target = os.path.join(output_dir, PREDICTIONS_FILE)
        tf.io.gfile.copy(str(merged), target, overwrite=True)
        yield PredictionTable(merged)
    if tf.io.gfile.isdir(source):
        tf.io.gfile.rmtree(source)


def _merged(runs: Sequence[Path], head: Head, folder: Path) -> Path:
    """Merges sorted files into one; rows of equal keys stay in the order of the files."""
    level = 0
    while len(runs) > _OPEN:
        starts = range(0, len(runs), _OPEN)
        runs = [
            _merge(runs[start : start + _OPEN], head, folder / f"merged-{level}-{start}")
            for start in starts
        ]
        level += 1
    return _merge(runs, head, folder / PREDICTIONS_FILE)


def _merge(runs: Iterable[Path], head: Head, target: Path) -> Path:
    write_predictions(target, head, heapq.merge(*map(PredictionTable, runs), key=_BY_KEY))
    return target
