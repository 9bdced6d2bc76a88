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
from pipelines.kubeflow.client.retry_default import CONFIG_MAP
from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.client.submission import Submission
from tests.backend.kubeflow.installation import Kubeflow
from tests.kubeflow.land_cover import package
from tests.kubeflow.tiny import submission, tiny_spec

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


def land_cover(installation: Kubeflow, **changes: dict) -> str:
    """The package of the photographs on the volume."""
    return package(VOLUME, image=installation.image, **changes)


def programmed(installation: Kubeflow, program: str | None, *steps: str) -> Json:
    """The specification of a tiny pipeline whose steps run a program."""
    spec = tiny_spec(*steps, image=installation.image)
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"]["command"] = ["python", "-c", program]
    return spec


def two_steps(installation: Kubeflow) -> Submission:
    """A package of two short steps."""
    return submission(tiny_spec(image=installation.image))


@contextmanager
def without_default(installation: Kubeflow) -> Iterator[None]:
    """Argo's controller without default retries, as releases before 2.17.0 configure it."""

    def configure(defaults: str) -> None:
        change = json.dumps({"data": {"workflowDefaults": defaults}})
        where = ("--namespace=kubeflow", "configmap", CONFIG_MAP)
        done = installation.cluster.kubectl("patch", *where, "--type=merge", f"--patch={change}")
        assert done.returncode == 0, done.stderr

    api = installation.cluster.admin()
    settings = api.find(api.path("v1", "configmaps", CONFIG_MAP)) or {}
    configure("{}")
    try:
        yield
    finally:
        configure(settings["data"]["workflowDefaults"])
