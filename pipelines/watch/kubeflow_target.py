"""Runs on Kubeflow Pipelines."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from pipelines.definition.kinds import Kind
from pipelines.kubeflow.client.errors import NotFound
from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.client.submission import (
    SERVICE_ACCOUNT,
    Submission,
    parse_submission,
    read_submission,
)
from pipelines.watch.target import RunEnd, StartError

#: The step that only the pipeline of predictions has.
_PREDICT = "predict"
_COMPILE_S = 240.0
_SHOWN = 2000


class KubeflowTarget:
    """Submits the package of a configuration; a run's description holds its key.

    A run is not bound to a fingerprint: its first step takes the data that are present when it
    starts. A bound run would fail whenever the source had changed meanwhile.
    """

    def __init__(
        self,
        server: KubeflowServer,
        config_path: str,
        package: str | None,
        service_account: str = SERVICE_ACCOUNT,
        kind: Kind = "training",
    ) -> None:
        """Stores what to submit.

        Args:
            package: path of a compiled package; without it every start compiles the configuration.
            service_account: of the steps' pods; empty leaves it to the cluster.
            kind: which pipeline of the configuration is compiled.
        """
        self._kind = kind
        self._server = server
        self._config_path = os.path.abspath(config_path)
        self._package = package
        self._service_account = service_account

    def find(self, key: str) -> str | None:
        return self._server.find_run(key)

    def start(self, key: str, require_lease: Callable[[], None]) -> str:
        return self._server.submit(
            self._submission(),
            key=key,
            run_name=key,
            service_account=self._service_account,
            before=require_lease,
        )

    def ended(self, run_id: str) -> RunEnd | None:
        try:
            state = self._server.run_state(run_id, with_steps=False)
        except NotFound:  # the run was deleted
            return RunEnd("gone")
        return RunEnd(state.state.lower()) if state.ended else None

    def _submission(self) -> Submission:
        if self._package:
            submission = read_submission(self._package)
            if (_PREDICT in submission.spec["root"]["dag"]["tasks"]) != (self._kind != "training"):
                raise StartError(
                    f"{self._package} is not the package of the {self._kind} pipeline: name its "
                    "package in watch.package, or leave that out, and one is compiled"
                )
            return submission
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "package.yaml")
            compile_apart(self._config_path, path, self._kind)
            return parse_submission(path.read_text(encoding="utf-8"), self._config_path)


def compile_apart(config_path: str, path: Path, kind: Kind = "training") -> None:
    """Compiles in a separate process, so that a watch never holds TFX in memory.

    Raises:
        StartError: the configuration does not compile.
    """
    command = [sys.executable, "-m", "pipelines.cli", "compile", "-c", config_path, "-o", str(path)]
    command += [] if kind == "training" else [f"--{kind}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_COMPILE_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise StartError(f"skymill compile took more than {_COMPILE_S:.0f} s") from error
    if done.returncode:
        raise StartError(f"skymill compile: {done.stderr.strip()[-_SHOWN:]}")
