"""Training on several pods, by JobSet's controller and Kubernetes' own.

The step is a pod that runs Skymill's step code with the account of `k8s/workers`. Its workers are
pods with addresses of their own, which find each other by the names of JobSet's service.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from components.raster.image import ImageSpec
from pipelines.config.kubeflow import StepConfig, Workers
from pipelines.kubeflow.cluster.jobset import API, ATTEMPT_LABEL, INDEX_LABEL, RESOURCE, SET_LABEL
from pipelines.kubeflow.contract.workers import WORKERS_KEY, WorkerPods
from tests.backend.cluster import Cluster
from tests.backend.controllers import PROGRAMS, jobset_controllers
from tests.backend.kubelet import Kubelet, node, unable
from tests.backend.network import no_network, pod_network
from tests.backend.processes import absent, until
from tests.k8s.conftest import Manifests
from tests.trainer.conftest import SIDE_PX, write_examples
from trainer.training.config import TrainConfig
from trainer.training.job import IMAGE_KEY, TRAIN_KEY

pytestmark = pytest.mark.backend

Json = dict[str, Any]

EPOCHS = 8
CLAIM = "training"
VOLUME = Path("/mnt/skymill")
WAIT_S = 900
SAVED = "Its state is saved"


@pytest.fixture(scope="module")
def kubelet(
    cluster: Cluster,
    tools: Path,
    repository: Path,
    render: Callable[[str], Manifests],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Kubelet]:
    """A node with a network of pods, and the controllers of JobSets."""
    if reason := unable(cluster) or no_network() or absent(tools, *PROGRAMS):
        pytest.skip(reason)
    for name in ("pipeline", "workers"):
        cluster.apply(*render(name).accounts())
    folder = tmp_path_factory.mktemp("workers")
    seen = [repository, Path(sys.prefix), Path(sys.prefix).resolve(), Path(sys.base_prefix)]
    variables = {"PYTHONPATH": str(repository), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (
        jobset_controllers(cluster, tools, folder),
        pod_network(folder / "names") as network,
        node(cluster, folder, [Path(sys.prefix) / "bin"], seen, (), variables, network) as found,
    ):
        yield found


@dataclass(frozen=True)
class Step:
    """The pod of a step.

    Attributes:
        kubelet: runs it.
        name: of the pod.
        folder: its examples, model and logs.
        exchange: the folder that it shares with its workers.
    """

    kubelet: Kubelet
    name: str
    folder: Path
    exchange: Path

    def said(self) -> str:
        path = self.kubelet.log(self.name, "main")
        return path.read_text() if path.exists() else ""

    def status(self) -> Json:
        """Of its container, once that has ended."""
        pod = self._find("v1", "pods", self.name) or {}
        [found] = pod.get("status", {}).get("containerStatuses", [{}])
        ended: Json = found.get("state", {}).get("terminated", {})
        return ended

    def ended(self) -> int:
        """The exit code at its end."""
        return int(until(self.status, WAIT_S)["exitCode"])

    def delete(self) -> None:
        """Deletes its pod, if there still is one."""
        core = client.CoreV1Api(self.kubelet.cluster.client())
        try:
            core.delete_namespaced_pod(self.name, "kubeflow")
        except client.ApiException as error:
            if error.status != 404:
                raise

    def jobsets(self) -> list[Json]:
        return self._listed(API, RESOURCE)

    def owns_workers(self) -> bool:
        """Checks whether the workers are those that this attempt created."""
        owners = [one["metadata"]["ownerReferences"][0]["name"] for one in self.jobsets()]
        return owners == [self.name]

    def worker(self, index: int, attempt: int = 0) -> str:
        """The name of a worker's pod, once it runs."""

        def look() -> str:
            for pod in self._listed("v1", "pods", labelSelector=SET_LABEL):
                labels, phase = pod["metadata"]["labels"], pod.get("status", {}).get("phase")
                wanted = (str(index), str(attempt), "Running")
                if (labels[INDEX_LABEL], labels[ATTEMPT_LABEL], phase) == wanted:
                    return str(pod["metadata"]["name"])
            return ""

        return str(until(look, WAIT_S))

    def rows(self) -> list[str]:
        """Returns the lines about the epochs that the workers have finished."""
        found = list(self.exchange.glob("*/logs/progress.jsonl"))
        return found[0].read_text().splitlines() if found else []

    def epochs(self) -> int:
        """Returns the number of epochs that the workers have finished."""
        return len(self.rows())

    def left(self) -> list[str]:
        """Returns the objects of the workers that still exist."""
        kinds = [(API, RESOURCE), ("batch/v1", "jobs"), ("v1", "services"), ("v1", "pods")]
        return [
            f"{resource}/{one['metadata']['name']}"
            for group, resource in kinds
            for one in self._listed(group, resource)
            if one["metadata"]["name"].startswith("skymill-")
        ]

    def gone(self) -> None:
        """Waits until nothing is left of the workers."""
        until(lambda: not self.left(), 300)

    def _find(self, group: str, resource: str, name: str = "", **query: str) -> Json | None:
        api = self.kubelet.cluster.admin()
        return api.find(api.path(group, resource, name), **query)

    def _listed(self, group: str, resource: str, **query: str) -> list[Json]:
        return list((self._find(group, resource, **query) or {}).get("items", []))


@dataclass(frozen=True)
class Steps:
    """Starts steps.

    Attributes:
        begin: the first attempt of one, of examples that a function may spoil.
        again: its next attempt, in another pod.
    """

    begin: Callable[..., Step]
    again: Callable[[Step], Step]


@pytest.fixture
def steps(kubelet: Kubelet) -> Iterator[Steps]:
    """Starts steps; what a test leaves of them is deleted."""
    begun: list[Step] = []

    def begin(
        spoil: Callable[[Path], None] = lambda _: None, epochs: int = EPOCHS, **workers: object
    ) -> Step:
        folder = kubelet.claims / CLAIM / f"run-{time.monotonic_ns()}"
        write_examples(folder / "examples")
        spoil(folder / "examples")
        given = _custom_config(VOLUME / folder.name, epochs, **workers)
        (folder / "step.json").write_text(json.dumps(given))
        begun.append(_attempt(kubelet, folder, 0))
        return begun[-1]

    def again(step: Step) -> Step:
        begun.append(_attempt(kubelet, step.folder, len(begun)))
        return begun[-1]

    yield Steps(begin, again)
    for step in begun:
        step.delete()
    for step in begun:
        step.gone()


def _attempt(kubelet: Kubelet, folder: Path, number: int) -> Step:
    """Starts the pod of an attempt of a step."""
    name = f"{folder.name}-{number}"
    api = kubelet.cluster.admin()
    api.create(api.path("v1", "pods"), _pod(name, folder.name))
    return Step(kubelet, name, folder, folder / "exchange")


def _custom_config(folder: Path, epochs: int, **workers: object) -> dict[str, str]:
    """Returns the settings of the compiled Trainer step."""
    train = {"model": {"kind": "small_cnn", "filters": [4]}, "epochs": epochs, "batch_size": 8}
    pods = WorkerPods(
        workers=Workers.model_validate({"count": 2, "exchange": f"{folder}/exchange", **workers}),
        step=StepConfig.model_validate(
            {"image": "any", "volumes": [{"claim": CLAIM, "path": str(VOLUME)}]}
        ),
    )
    return {
        TRAIN_KEY: TrainConfig.model_validate({**train, "early_stopping": None}).model_dump_json(),
        IMAGE_KEY: ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX).model_dump_json(),
        WORKERS_KEY: pods.model_dump_json(),
    }


def _pod(name: str, run: str) -> Json:
    """The step of a run, with the variables of Kubeflow's driver."""
    fields = {"KFP_POD_NAME": "metadata.name", "KFP_POD_UID": "metadata.uid"}
    container = {
        "name": "main",
        "image": "any",
        "command": ["python", "-m", "tests.backend.worker_step", str(VOLUME / run)],
        "env": [
            {"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}}
            for key, path in fields.items()
        ],
        "volumeMounts": [{"name": "claim", "mountPath": str(VOLUME)}],
    }
    volume = {"name": "claim", "persistentVolumeClaim": {"claimName": CLAIM}}
    spec = {"serviceAccountName": "skymill-steps", "restartPolicy": "Never"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"pipeline/runid": run}},
        "spec": {**spec, "containers": [container], "volumes": [volume]},
    }


def history(step: Step) -> Json:
    found: Json = json.loads((step.folder / "run" / "logs" / "history.json").read_text())
    return found


def test_two_workers_train_a_model(steps: Steps) -> None:
    step = steps.begin()
    until(step.owns_workers, WAIT_S)
    assert step.ended() == 0, step.said()
    step.gone()
    assert (step.folder / "model" / "saved_model.pb").is_file()
    assert not list(step.exchange.iterdir())
    result = history(step)
    assert (result["replicas"], len(result["epochs"]), result["resumed_after_epochs"]) == (
        2,
        EPOCHS,
        0,
    )
    said = step.said()
    assert "workers: 2 running" in said
    assert "[worker 0] " in said
    assert "[worker 1] " in said


def killed(step: Step, pod: str) -> None:
    step.kubelet.kill(pod, "worker")


def evicted(step: Step, pod: str) -> None:
    """As from a node that is drained."""
    core = client.CoreV1Api(step.kubelet.cluster.client())
    core.create_namespaced_pod_eviction(pod, "kubeflow", {"metadata": {"name": pod}})


@pytest.mark.parametrize("lost", [killed, evicted])
def test_a_worker_that_is_lost_costs_no_finished_epoch(
    steps: Steps, lost: Callable[[Step, str], None]
) -> None:
    """JobSet restarts both, and they resume from the checkpoint."""
    step = steps.begin(restarts=1)
    worker = step.worker(1)
    until(step.epochs, WAIT_S)
    lost(step, worker)
    assert step.ended() == 0, step.said()
    step.gone()
    result = history(step)
    assert 0 < result["resumed_after_epochs"] < EPOCHS
    assert len(result["epochs"]) == EPOCHS
    assert (step.folder / "model" / "saved_model.pb").is_file()


def test_a_step_fails_with_the_reason_of_a_worker_that_was_lost_too_often(
    steps: Steps,
) -> None:
    step = steps.begin(restarts=0)
    lost = step.worker(1)
    until(step.epochs, WAIT_S)
    step.kubelet.kill(lost, "worker")
    assert step.ended() == 1
    step.gone()
    assert "WorkersFailed: worker 1 has failed (exit code 137): it was killed" in step.said()
    assert step.epochs(), "the next attempt of the step goes on from there"


def test_data_at_fault_end_the_workers_at_once_and_are_named(steps: Steps) -> None:
    def spoil(examples: Path) -> None:
        for path in examples.glob("Split-train/*"):
            path.write_bytes(b"no record")

    step = steps.begin(spoil, restarts=3)
    assert step.ended() == 1
    step.gone()
    assert re.search(r"WorkersRefused: worker . has failed \(exit code 4\): DataError", step.said())


def test_a_step_that_is_stopped_takes_its_workers_along(steps: Steps) -> None:
    step = steps.begin()
    workers = [step.worker(index) for index in range(2)]
    until(step.epochs, WAIT_S)
    step.delete()
    step.gone()
    for name in workers:
        assert SAVED in step.kubelet.log(name, "worker").read_text()
    assert "The step was stopped (SIGTERM)." in step.said()


def test_the_workers_of_a_step_that_was_lost_are_deleted_with_its_pod(
    steps: Steps,
) -> None:
    """The step had no time to delete its JobSet: the garbage collector does that."""
    step = steps.begin()
    workers = [step.worker(index) for index in range(2)]
    until(step.epochs, WAIT_S)
    step.kubelet.kill(step.name, "main")
    assert step.ended() == 137
    assert step.jobsets()
    step.delete()
    step.gone()
    for name in workers:
        assert SAVED in step.kubelet.log(name, "worker").read_text()


def test_the_next_attempt_of_a_step_replaces_the_workers_of_a_lost_one(
    steps: Steps,
) -> None:
    """They resume from the checkpoint: the rows of finished epochs do not change."""
    step = steps.begin(epochs=10_000)
    first = step.worker(0)
    until(step.epochs, WAIT_S)
    step.kubelet.kill(step.name, "main")
    assert step.ended() == 137
    following = steps.again(step)
    until(following.owns_workers, WAIT_S)
    known = step.rows()
    until(lambda: len(step.rows()) > len(known), WAIT_S)
    assert step.rows()[: len(known)] == known
    assert following.worker(0) != first
    assert SAVED in step.kubelet.log(first, "worker").read_text()


def test_the_next_attempt_of_a_step_takes_the_model_of_workers_that_have_finished(
    steps: Steps,
) -> None:
    step = steps.begin()
    until(step.jobsets, WAIT_S)
    step.kubelet.kill(step.name, "main")
    assert step.ended() == 137

    def finished() -> bool:
        [found] = step.jobsets()
        conditions = found.get("status", {}).get("conditions") or []
        return any(one["type"] == "Completed" for one in conditions)

    until(finished, WAIT_S)
    following = steps.again(step)
    assert following.ended() == 0, following.said()
    following.gone()
    assert "the workers of an earlier attempt have finished" in following.said()
    assert len(history(following)["epochs"]) == EPOCHS
    assert (step.folder / "model" / "saved_model.pb").is_file()
