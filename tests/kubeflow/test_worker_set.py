"""Training on several pods: requests to the cluster, and their outcome."""

import io
import json
import threading
import time
from collections.abc import Iterator

import kubernetes_validate
import pytest

from components.raster.errors import ConfigError, is_lasting
from pipelines.config.kubeflow import StepConfig, Workers
from pipelines.config.tree import PipelineConfig, parse_config
from pipelines.kubeflow.cluster.api import KubernetesApi, KubernetesError
from pipelines.kubeflow.cluster.jobset import Owner, hosts, jobset
from pipelines.kubeflow.contract.workers import WorkerPods, worker_pods
from pipelines.kubeflow.step.worker_set import WorkerSet, WorkersFailed
from tests.kubeflow.cluster import Cluster, kubernetes_api
from tests.kubeflow.jobset_controller import Controller, jobset_controller

OWNER = Owner("step-pod", "uid-of-step", "run-7", "skymill-steps")
LASTING = 4
PATH = "/apis/jobset.x-k8s.io/v1alpha2/namespaces/kubeflow/jobsets/train"

#: A step with every setting of a configuration.
FULL_STEP = {
    "cpu_request": "2",
    "memory_limit": "8Gi",
    "accelerator": {"count": 2},
    "node_selector": {"pool": "gpu"},
    "tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
    "secret_variables": [{"secret": "s", "key": "k", "variable": "KEY"}],
    "secret_volumes": [{"secret": "weights", "path": "/secrets"}],
    "shared_memory": "1Gi",
    "labels": {"team": "a"},
}


@pytest.fixture
def there() -> Iterator[tuple[Cluster, KubernetesApi, Controller]]:
    with kubernetes_api() as (cluster, api), jobset_controller(cluster) as controller:
        yield cluster, api, controller


def pods(**step: object) -> WorkerPods:
    workers = Workers(count=2, exchange="/mnt/skymill/training", restarts=1)
    known = {"image": "registry.example/skymill:1", "volumes": [{"claim": "c", "path": "/mnt"}]}
    return WorkerPods(workers=workers, step=StepConfig.model_validate({**known, **step}))


def manifest(program: str, owner: Owner = OWNER) -> dict:
    return jobset("train", pods(), ["python", "-c", program], owner, LASTING)


def run(api: KubernetesApi, program: str) -> str:
    """Returns the workers' logs, once all have ended."""
    out = io.StringIO()
    WorkerSet(api, manifest(program), out, poll_s=0.05).run()
    return out.getvalue()


INDEX = "import json, os; index = json.loads(os.environ['TF_CONFIG'])['task']['index']\n"


def test_every_worker_learns_of_all_and_of_itself(
    there: tuple[Cluster, KubernetesApi, Controller],
) -> None:
    cluster, api, _ = there
    said = run(api, "import os; print(os.environ['TF_CONFIG'])")
    result = {line[:10]: json.loads(line[11:]) for line in said.splitlines() if line[0] == "["}
    assert set(result) == {"[worker 0]", "[worker 1]"}
    assert [result[key]["task"] for key in sorted(result)] == [
        {"type": "worker", "index": 0},
        {"type": "worker", "index": 1},
    ]
    clusters = [one["cluster"]["worker"] for one in result.values()]
    assert clusters[0] == clusters[1]
    assert len(set(clusters[0])) == 2
    assert PATH not in cluster.objects, "deleted at the end"


def test_a_lost_worker_begins_all_anew(
    there: tuple[Cluster, KubernetesApi, Controller], tmp_path: object
) -> None:
    program = INDEX + (
        f"path = '{tmp_path}/' + str(index)\n"
        "first = not os.path.exists(path); open(path, 'w')\n"
        "import sys, time\n"
        "if first and index == 1: sys.exit(137)\n"
        "if first: time.sleep(60)\n"
        "print('resumed', index)\n"
    )
    _, api, controller = there
    said = run(api, program)
    assert "[worker 0] resumed 0" in said
    assert "[worker 1] resumed 1" in said
    assert len(controller.started) == 2


@pytest.mark.parametrize(
    ("code", "attempts", "where"),
    [(LASTING, 1, ""), (1, 2, " in attempt 2")],
)
def test_the_first_that_fails_is_named_with_its_reason(
    there: tuple[Cluster, KubernetesApi, Controller], code: int, attempts: int, where: str
) -> None:
    """A lasting failure is not retried; the other failures only follow the first."""
    program = INDEX + (
        "import sys, time\n"
        f"if index == 1: print('DataError: no image in it'); sys.exit({code})\n"
        "time.sleep(0.3); print('TrainingError: Another worker is gone: x'); sys.exit(1)\n"
    )
    cluster, api, controller = there
    message = rf"worker 1 has failed{where} \(exit code {code}\): DataError: no image in it"
    with pytest.raises(WorkersFailed, match=message) as caught:
        run(api, program)
    assert len(controller.started) == attempts
    assert is_lasting(caught.value) == (code == LASTING)
    assert PATH not in cluster.objects


def test_the_last_words_of_a_worker_that_was_killed_are_no_reason(
    there: tuple[Cluster, KubernetesApi, Controller],
) -> None:
    program = INDEX + (
        "import os, signal, time\n"
        "if index == 1: print('no GPU here', flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
        "time.sleep(60)\n"
    )
    _, api, _ = there
    message = r"worker 1 has failed in attempt 2 \(exit code 137\): it was killed \(SIGKILL\)"
    with pytest.raises(WorkersFailed, match=message):
        run(api, program)


def test_a_step_that_is_told_to_stop_takes_its_workers_along(
    there: tuple[Cluster, KubernetesApi, Controller],
) -> None:
    """Each ends by SIGTERM, and so can save its state."""
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(143)))\n"
        "print('ready', flush=True); time.sleep(60)\n"
    )
    cluster, api, controller = there

    class Out(io.StringIO):
        def write(self, text: str) -> int:
            if threading.current_thread() is threading.main_thread() and "2 running" in text:
                while self.getvalue().count("ready") < 2:
                    time.sleep(0.01)
                raise SystemExit(143)
            return super().write(text)

    out = Out()
    with pytest.raises(SystemExit):
        WorkerSet(api, manifest(program), out, poll_s=0.05).run()
    [processes] = controller.started
    assert [process.wait(10) for process in processes] == [143, 143]
    assert PATH not in cluster.objects


def test_what_an_earlier_attempt_left_is_replaced_and_another_runs_is_not(
    there: tuple[Cluster, KubernetesApi, Controller],
) -> None:
    cluster, api, _ = there
    cluster.objects[PATH] = {"metadata": {"uid": "old", "labels": {"pipeline/runid": "run-7"}}}
    assert "done" in run(api, "print('done')")
    cluster.objects[PATH] = {"metadata": {"uid": "old", "labels": {"pipeline/runid": "run-8"}}}
    with pytest.raises(WorkersFailed, match="the run run-8 trains with the same"):
        run(api, "print('done')")
    assert PATH in cluster.objects


def test_what_an_earlier_attempt_finished_is_not_done_again(
    there: tuple[Cluster, KubernetesApi, Controller],
) -> None:
    cluster, api, controller = there
    done = {"conditions": [{"type": "Completed", "status": "True"}]}
    metadata = {"uid": "old", "labels": {"pipeline/runid": "run-7"}}
    cluster.objects[PATH] = {"metadata": metadata, "status": done}
    assert "the workers of an earlier attempt have finished" in run(api, "print('done')")
    assert not controller.started
    assert PATH not in cluster.objects


@pytest.mark.parametrize("run_id", ["run-7", "run-8"])
def test_a_set_that_is_being_deleted_is_waited_for(
    there: tuple[Cluster, KubernetesApi, Controller], run_id: str
) -> None:
    """Kubernetes keeps it until its workers have ended; of a stopped run, too."""
    cluster, api, _ = there
    done = {"conditions": [{"type": "Completed", "status": "True"}]}
    metadata = {"labels": {"pipeline/runid": run_id}, "deletionTimestamp": "2026-01-01T00:00:00Z"}
    cluster.objects[PATH] = {"metadata": metadata, "status": done}
    threading.Timer(0.3, cluster.objects.pop, [PATH]).start()
    assert "[worker 0] done" in run(api, "print('done')")


def test_why_pods_wait_is_reported(there: tuple[Cluster, KubernetesApi, Controller]) -> None:
    _, api, controller = there
    controller.unschedulable = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."

    class Out(io.StringIO):
        def write(self, text: str) -> int:
            if "Insufficient" in text:
                controller.unschedulable = ""
            return super().write(text)

    out = Out()
    WorkerSet(api, manifest("print('done')"), out, poll_s=0.05).run()
    assert "workers: 2 pending; 0/3 nodes are available: 3 Insufficient" in out.getvalue()


def test_an_account_without_the_right_learns_it_at_once(
    there: tuple[Cluster, KubernetesApi, Controller],
) -> None:
    cluster, api, _ = there
    cluster.forbidden = {"jobsets"}
    with pytest.raises(KubernetesError, match="answered 403 to POST .*jobsets"):
        run(api, "print('done')")


def test_the_pod_is_what_kubernetes_takes_and_may_do_little() -> None:
    found = jobset("train", pods(**FULL_STEP), ["python"], OWNER, LASTING)
    assert found["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "step-pod", "uid": "uid-of-step"}
    ]
    assert all(rule["name"] for rule in found["spec"]["failurePolicy"]["rules"]), (
        "JobSet asks for it"
    )
    [replicated] = found["spec"]["replicatedJobs"]
    spec = replicated["template"]["spec"]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec}
    kubernetes_validate.validate(job, "1.31", strict=True)
    pod = spec["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    [container] = pod["containers"]
    limits = {"memory": "8Gi", "nvidia.com/gpu": "2"}
    assert container["resources"] == {"requests": {"cpu": "2"}, "limits": limits}
    names = [one["name"] for one in container["env"]]
    assert names.index("WORKER_INDEX") < names.index("TF_CONFIG"), "or it is not replaced"
    assert {"name": "c", "mountPath": "/mnt"} in container["volumeMounts"]
    assert hosts("train", 2) == ["train-worker-0-0.train", "train-worker-0-1.train"]


def config(workers: dict, trainer: dict | None = None, **train: object) -> PipelineConfig:
    volumes = [{"claim": "skymill", "path": "/mnt/skymill"}]
    tree = {
        "name": "land",
        "workspace": "/mnt/skymill/work",
        "ingest": {"source": {"kind": "folders", "uri": "/mnt/skymill/images"}},
        "schema": {"home": "/mnt/skymill/schema.pbtxt"},
        "push": {"model_dir": "/mnt/skymill/models"},
        "train": {"batch_size": 8, **train},
        "kubeflow": {
            "steps": {"image": "a:1", "volumes": volumes},
            "nodes": {"Trainer": trainer or {}},
            "workers": {"count": 2, "exchange": "/mnt/skymill/training", **workers},
        },
    }
    return parse_config(tree, "/")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (config({"exchange": "/tmp/x"}), "/tmp/x is on no volume of Trainer"),
        (config({"count": 3}), "batch_size is 8, which 3 workers cannot share"),
        (config({}, strategy="mirrored"), "needs train.strategy auto or multi_worker"),
        (
            config({}, {"tpu": {"accelerator": "tpu-v6e-slice", "topology": "2x4"}}),
            "TPU chips of several hosts",
        ),
    ],
)
def test_a_training_that_cannot_be_spread_is_refused(given: PipelineConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        worker_pods(given)
