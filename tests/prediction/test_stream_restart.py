"""A stream that is stopped or killed while images arrive, and started again."""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from components.raster.errors import TransientDataError
from pipelines.cli.stream import command
from pipelines.prediction.stream import only_stream_into
from tests import warm
from tests.prediction.test_messages import line_of

pytestmark = pytest.mark.slow

_IMAGES, _BROKEN, _STOPS = 240, 8, 3  # every eighth is broken
_PATIENCE_S = 120


class Command:
    """`skymill stream` over a place where images arrive."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.answers = folder / "answers"
        self._log = folder / "stream.log"
        self._arguments = ["stream", *arguments, "--output", str(self.answers)]
        # Short times, so that a stop meets images that wait, are answered, and are written.
        times = {"--poll": "0.1", "--delay": "0.2", "--window": "1", "--batch": "4"}
        self._arguments += [it for pair in times.items() for it in pair]

    @contextmanager
    def running(self, number: signal.Signals) -> Iterator[None]:
        """Runs it, and ends it by a signal."""
        process = warm.start("pipelines.cli", self._arguments, stdout=self._log, stderr=self._log)
        try:
            yield
            assert process.is_alive(), self._log.read_text()[-4000:]
        finally:
            os.kill(process.pid, number)
            process.join(60)
        assert process.exitcode is not None, "it has not ended"

    def files(self, pattern: str) -> list[Path]:
        return list(self.answers.glob(pattern))

    def answered(self) -> Counter[str]:
        """Counts the answers of each key; every file must be whole."""
        tables = [pq.read_table(path) for path in self.files("predictions-*.parquet")]
        return Counter(key for table in tables for key in table["key"].to_pylist())

    def refused(self) -> Counter[str]:
        lines = [it for path in self.files("rejects-*") for it in path.read_text().splitlines()]
        return Counter(json.loads(line)["key"] for line in lines)

    def count(self) -> int:
        return (self.answered() + self.refused()).total()


def until(is_done, what: str) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not is_done():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def photographs(folder: Path) -> list[Path]:
    """Makes images, some of them broken."""
    folder.mkdir()
    for number in range(_IMAGES):
        path = folder / f"{number:03d}.png"
        if number % _BROKEN:
            Image.fromarray(np.full((10, 12, 3), number, np.uint8)).save(path)
        else:
            path.write_bytes(b"no image")
    return sorted(folder.iterdir())


@contextmanager
def arriving(made: Iterable[Path], incoming: Path) -> Iterator[None]:
    """Moves files to where they are awaited, one after another, while the block runs and after."""

    def move() -> None:
        for path in made:
            path.rename(incoming / path.name)
            time.sleep(0.05)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        yield
    finally:
        mover.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_folder_is_answered_once_however_often_the_stream_ends(
    photographs_model, tmp_path, number
):
    made, incoming = photographs(tmp_path / "made"), tmp_path / "incoming"
    incoming.mkdir()
    names = {str(incoming / path.name) for path in made}
    broken = {str(incoming / path.name) for path in made[::_BROKEN]}
    stream = Command(tmp_path, str(incoming), "--model-base", str(photographs_model))
    require_once(stream, [made[part::_STOPS] for part in range(_STOPS)], incoming, number)
    assert stream.answered() == Counter(names - broken)
    assert stream.refused() == Counter(broken)


def test_a_queue_is_answered_once_though_its_keys_come_again(photographs_model, tmp_path):
    images, made, queue = photographs(tmp_path / "images"), tmp_path / "made", tmp_path / "queue"
    made.mkdir()
    queue.mkdir()
    for number in range(_IMAGES // 2):  # a file of two images, each of a plot that comes again
        pair = images[2 * number : 2 * number + 2]
        lines = [line_of(f"plot-{place}", path.read_bytes()) for place, path in enumerate(pair)]
        (made / f"{number:03d}.jsonl").write_text("".join(lines))
    files = sorted(made.iterdir())
    flags = ["--messages", "images", "--model-base", str(photographs_model)]
    stream = Command(tmp_path, str(queue), *flags)
    parts = [files[part::_STOPS] for part in range(_STOPS)]
    require_once(stream, parts, queue, signal.SIGKILL)
    refused = _IMAGES // _BROKEN  # those are the first of a pair
    assert stream.answered() == {"plot-0": _IMAGES // 2 - refused, "plot-1": _IMAGES // 2}
    assert stream.refused() == {"plot-0": refused}


def require_once(
    stream: Command, parts: Sequence[Sequence[Path]], place: Path, number: signal.Signals
) -> None:
    """Lets files arrive in parts and ends the stream within each; the last stream answers all."""
    draw = random.Random(1)
    for part in parts:
        before = stream.count()
        with arriving(part, place), stream.running(number):
            until(lambda before=before: stream.count() > before, "more answers")
            time.sleep(draw.uniform(0, 1))
    with stream.running(signal.SIGTERM):
        until(lambda: stream.count() >= _IMAGES, "all answers")
        time.sleep(2)  # for answers that come twice
    assert not stream.files(".*"), "a file that was begun, or a lock"


def test_a_second_stream_into_the_same_folder_is_refused(photographs_model, tmp_path):
    (tmp_path / "incoming").mkdir()
    answers = tmp_path / "answers"
    answers.mkdir()
    begun = answers / ".predictions-20260901T120300Z-1a2b3c4d.parquet"
    begun.write_bytes(b"PAR1, and no more")
    with only_stream_into(str(answers)):
        assert not begun.exists()
        flags = ["--output", str(answers), "--model-base", str(photographs_model)]
        found = CliRunner().invoke(command, [str(tmp_path / "incoming"), *flags])
        assert isinstance(found.exception, TransientDataError)
        assert "another stream writes into" in str(found.exception)
