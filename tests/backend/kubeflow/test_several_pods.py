"""A pipeline on Kubeflow Pipelines whose training is spread over two pods of a JobSet."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.kubeflow import connect
from pipelines.kubeflow.cluster.jobset import API, RESOURCE, SET_LABEL
from tests.backend.controllers import PROGRAMS, jobset_controllers
from tests.backend.kubeflow.calls import VOLUME, WAIT_S, follow, followed, land_cover, skymill
from tests.backend.kubeflow.installation import Kubeflow
from tests.backend.kubeflow.known import attempts
from tests.backend.kubelet import unable
from tests.backend.network import no_network
from tests.backend.processes import absent, until
from tests.k8s.conftest import Manifests

pytestmark = pytest.mark.backend


@pytest.fixture(scope="module")
def with_jobset(
    installation: Kubeflow,
    tools: Path,
    render: Callable[[str], Manifests],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Kubeflow]:
    """The installation with JobSet, and the rights that a training on several pods needs."""
    cluster = installation.cluster
    if reason := unable(cluster) or no_network() or absent(tools, *PROGRAMS):
        pytest.skip(reason)
    cluster.apply(*render("workers").accounts())
    with jobset_controllers(cluster, tools, tmp_path_factory.mktemp("jobset")):
        yield installation


def spread(installation: Kubeflow, **train: object) -> str:
    """The package of a training on two pods."""
    return land_cover(
        installation,
        train=train,
        kubeflow={"workers": {"count": 2, "exchange": str(VOLUME / "training")}},
        push={"model_dir": str(VOLUME / "models_of_workers")},
    )


def workers(installation: Kubeflow) -> list[str]:
    """Names of the JobSets and pods of workers."""
    api = installation.cluster.admin()
    sets = api.find(api.path(API, RESOURCE)) or {}
    pods = api.find(api.path("v1", "pods"), labelSelector=SET_LABEL) or {}
    return [one["metadata"]["name"] for found in (sets, pods) for one in found["items"]]


def test_a_pipeline_trains_on_two_pods_and_pushes_their_model(
    with_jobset: Kubeflow, tmp_path: Path
) -> None:
    code, outcome = followed(with_jobset, tmp_path / "package.yaml", spread(with_jobset))
    assert (code, outcome["state"]) == (0, "SUCCEEDED"), outcome
    assert len(outcome["steps"]) == 17
    data = with_jobset.data
    assert (data / "models_of_workers" / "land_cover" / "1" / "saved_model.pb").is_file()
    assert not list((data / "training").iterdir())
    said = skymill(with_jobset, "runs", "logs", outcome["run_id"], "trainer").output
    assert "workers: 2 running" in said
    assert "workers: 2 succeeded" in said
    assert not workers(with_jobset)


def test_a_run_that_is_stopped_stops_its_workers(with_jobset: Kubeflow, tmp_path: Path) -> None:
    """They save their state, from which the next run would resume."""
    path = tmp_path / "package.yaml"
    path.write_text(spread(with_jobset, epochs=10_000, early_stopping=None))
    run_id = connect(with_jobset.endpoint).submit(str(path)).run_id
    folder = with_jobset.data / "training"
    until(lambda: list(folder.glob("*/logs/progress.jsonl")), WAIT_S)
    done = skymill(with_jobset, "runs", "stop", run_id)
    assert "stopping" in done.output, done.output
    until(lambda: not workers(with_jobset), 300)
    code, outcome = follow(with_jobset, run_id)
    assert (code, outcome["state"]) == (1, "FAILED"), outcome
    [attempt] = attempts(with_jobset, run_id, "trainer")
    assert "workers: 2 running" in attempt.log, "its pod is still there: the step deleted the set"
    assert list(folder.glob("*/checkpoints/*"))
