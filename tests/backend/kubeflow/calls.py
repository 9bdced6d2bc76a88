"""Skymill's commands against an installation, and its settings for a while."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from pipelines.cli.main import cli
from pipelines.kubeflow import connect
from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.server import KubeflowServer
from tests.backend.argo import configure
from tests.backend.kubeflow.installation import LOGS, SETTINGS, Kubeflow

Json = dict[str, Any]

# Where the pods of a pipeline have their volume.
VOLUME = Path("/mnt/skymill")
WAIT_S = 1800


def skymill(installation: Kubeflow, *words: str) -> Result:
    """Runs a command."""
    return CliRunner().invoke(cli, [*words, "--endpoint", installation.endpoint])


def followed(installation: Kubeflow, path: Path, text: str) -> tuple[int, Json]:
    """Runs a package; the exit code of `skymill follow`, and what it prints."""
    path.write_text(text)
    run_id = connect(installation.endpoint).submit(str(path)).run_id
    return follow(installation, run_id)


def follow(installation: Kubeflow, run_id: str) -> tuple[int, Json]:
    """Follows a run; the exit code of `skymill follow`, and what it prints."""
    metadata = ("--metadata", installation.metadata) if installation.metadata else ()
    done = skymill(installation, "follow", run_id, "--timeout", str(WAIT_S), *metadata, "--json")
    return done.exit_code, json.loads(done.stdout)


def run_ids(installation: Kubeflow) -> list[str]:
    """All runs, the newest first."""
    server = KubeflowServer(Connection(installation.endpoint))
    return [one.run_id for one in server.newest_runs(100)]


@contextmanager
def without_default(installation: Kubeflow) -> Iterator[None]:
    """Argo's controller as releases before 2.17.0 configure it."""
    configure(installation.cluster, {"artifactRepository": LOGS})
    try:
        yield
    finally:
        configure(installation.cluster, SETTINGS)
