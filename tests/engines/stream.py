"""`skymill stream` in a process of its own, with a model of photographs and answers in a folder."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from tests import warm

_PATIENCE_S = 180


class Stream:
    """A command that can be started, and its answers.

    Args:
        folder: holds the models, and receives the answers.
        beam_args: Beam's options.
        environment: variables of the process besides those of the tests.
    """

    def __init__(
        self,
        folder: Path,
        beam_args: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder, self._environment = folder, dict(environment or {})
        tree = {
            "name": "tiles",
            "ingest": {"source": {"kind": "images", "uri": str(folder)}},
            "push": {"model_dir": str(folder / "models")},
            "beam": {"args": list(beam_args)},
        }
        (folder / "skymill.yaml").write_text(json.dumps(tree))

    @contextmanager
    def of(self, *arguments: str, ends_by: signal.Signals = signal.SIGTERM) -> Iterator[None]:
        """Runs the command until the block ends, then ends it with a signal."""
        flags = ["--output", "answers", "--model-base", "models"]
        flags += ["--window", "1", "--refresh", "0", "--delay", "0"]
        log = self._folder / "stream.log"
        process = warm.start(
            "pipelines.cli",
            ["stream", *arguments, *flags],
            stdout=log,
            stderr=log,
            cwd=self._folder,
            env=os.environ | self._environment,
        )
        try:
            yield
        except AssertionError as error:
            raise AssertionError(log.read_text()[-4000:]) from error
        finally:
            os.kill(process.pid, ends_by)
            process.join(60)
        assert "could not be cancelled" not in log.read_text()

    def rows(self) -> dict[str, dict[str, object]]:
        """Returns the answers by key."""
        tables = [pq.read_table(it) for it in self._answers("predictions-*.parquet")]
        return {row["key"]: row for table in tables for row in table.to_pylist()}

    def answers(self) -> Counter[str]:
        """Counts the answers of each key."""
        tables = [pq.read_table(it) for it in self._answers("predictions-*.parquet")]
        return Counter(key for table in tables for key in table["key"].to_pylist())

    def letters(self) -> dict[str, str]:
        """Returns the reasons of the dead letters by key."""
        lines = [it.read_text().splitlines() for it in self._answers("rejects-*.jsonl")]
        found = [json.loads(line) for part in lines for line in part]
        return {it["key"]: it["reason"] for it in found}

    def _answers(self, pattern: str) -> list[Path]:
        return list((self._folder / "answers").glob(pattern))


def until(is_done: Callable[[], bool], what: str) -> None:
    """Waits; fails after a while."""
    end = time.monotonic() + _PATIENCE_S
    while not is_done():
        assert time.monotonic() < end, what
        time.sleep(0.5)
