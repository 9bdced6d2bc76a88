"""Runs on this machine, each in a separate process that outlives the watch."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from components.raster.errors import DataError
from pipelines.definition.kinds import Kind
from pipelines.definition.workspace import Workspace
from pipelines.local.record import RUNNING, find_record, read_record
from pipelines.watch.target import RunEnd, StartError

_LOG = "watch.log"
_SHOWN_BYTES = 2000
_LOOK_S = 0.1


class LocalTarget:
    """Starts `skymill run --key`.

    The run itself checks its key under the workspace's lock before it does anything, so that two
    starts with one key give one run, whichever process dies in between.
    """

    def __init__(
        self,
        config_path: str,
        workspace: str,
        patience_s: float = 60.0,
        kind: Kind = "training",
    ) -> None:
        """Stores the settings; `patience_s` is the time in which a run must write its record."""
        self._kind = kind
        self._config_path = os.path.abspath(config_path)
        self._workspace = Workspace(workspace)
        self._patience_s = patience_s
        self._children: list[subprocess.Popen[bytes]] = []

    def find(self, key: str) -> str | None:
        try:
            record = find_record(self._workspace.runs, key)
        except DataError as error:
            raise StartError(str(error)) from error
        return record.run_id if record else None

    def start(self, key: str, require_lease: Callable[[], None]) -> str:
        require_lease()
        os.makedirs(self._workspace.root, exist_ok=True)
        with open(os.path.join(self._workspace.root, _LOG), "ab") as log:
            begin = log.tell()
            child = self._spawn(key, log)
        until = time.monotonic() + self._patience_s
        while time.monotonic() < until:
            over = child.poll() is not None  # polled first: its record is then final
            if run_id := self.find(key):
                return run_id
            if over:
                said = self._output_since(begin)
                raise StartError(f"skymill run ended with {child.returncode}: {said}")
            time.sleep(_LOOK_S)
        raise StartError(f"skymill run (process {child.pid}) has not begun yet")

    def ended(self, run_id: str) -> RunEnd | None:
        # A child that is not reaped stays a process, and its run would count as in progress.
        self._children = [child for child in self._children if child.poll() is None]
        folder = self._workspace.run_dir(run_id)
        if not os.path.isdir(folder):
            return RunEnd("gone")
        record = read_record(folder)
        return None if record.outcome == RUNNING else RunEnd(record.outcome, record.fingerprint)

    def _spawn(self, key: str, log: IO[bytes]) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "pipelines.cli", "run", self._config_path, "--key", key]
        command += [] if self._kind == "training" else [f"--{self._kind}"]
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a signal to the watch must not end the run
        )
        self._children.append(child)
        return child

    def _output_since(self, begin: int) -> str:
        text = Path(self._workspace.root, _LOG).read_bytes()[begin:][-_SHOWN_BYTES:]
        return text.decode(errors="replace").strip() or "no output"
