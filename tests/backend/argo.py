"""Argo's workflow controller, and pods whose ends a test determines.

The controller is Argo's own and decides what follows an attempt. `Pods` writes the reports of a
kubelet and of Argo's executor: a pod's phase and the exit code of its main container.
"""

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

from pipelines.kubeflow.client.retry_default import CONFIG_MAP
from tests.backend.cluster import Cluster
from tests.backend.processes import running, until

Json = dict[str, Any]

#: Retries that Kubeflow Pipelines 2.17.0 gives every step by default (kubeflow/pipelines#13485).
DEFAULT = {"limit": "2", "retryPolicy": "OnError"}
LOST = "lost"
End = int | str

_API = "argoproj.io/v1alpha1"
_LABEL = "workflows.argoproj.io"
_POLL_S = 0.2


@dataclass
class Pods:
    """Ends the pods of workflows.

    Attributes:
        cluster: cluster of the pods.
        ends: for each workflow the end of each attempt, the last for all further ones: an exit
            code, or `LOST` for a pod that is gone without one.
        deadlines: for each workflow the deadline that each attempt was given.
    """

    cluster: Cluster
    ends: dict[str, Sequence[End]] = field(default_factory=dict)
    deadlines: dict[str, list[str]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def serve(self) -> None:
        """Looks after the pods until `stop`."""
        api = self.cluster.admin()
        while not self._stopped.wait(_POLL_S):
            listed = api.find(api.path("v1", "pods"), labelSelector=f"{_LABEL}/workflow") or {}
            for pod in listed.get("items", []):
                name = pod["metadata"]["labels"][f"{_LABEL}/workflow"]
                if name in self.ends and pod["metadata"]["uid"] not in self._seen:
                    self._seen.add(pod["metadata"]["uid"])
                    self._end(name, pod)

    def stop(self) -> None:
        self._stopped.set()

    def _end(self, workflow: str, pod: Json) -> None:
        attempts = self.deadlines.setdefault(workflow, [])
        end = self.ends[workflow][min(len(attempts), len(self.ends[workflow]) - 1)]
        attempts.append(_variable(pod, "ARGO_DEADLINE"))
        self._report(pod, "Running", {"running": {"startedAt": _now()}})
        core = client.CoreV1Api(self.cluster.client())
        if end == LOST:
            until(lambda: self._is_known_to_run(workflow, pod), 60)
            core.delete_namespaced_pod(pod["metadata"]["name"], "kubeflow", grace_period_seconds=0)
            return
        self._result(workflow, pod, int(end))
        ended = {"exitCode": int(end), "startedAt": _now(), "finishedAt": _now()}
        ended["reason"] = "Error" if end else "Completed"
        self._report(pod, "Failed" if end else "Succeeded", {"terminated": ended})

    def _is_known_to_run(self, workflow: str, pod: Json) -> bool:
        """Checks whether the controller has seen it; else the pod would count as never begun."""
        api = self.cluster.admin()
        found = api.find(api.path(_API, "workflows", workflow)) or {}
        node = pod["metadata"]["annotations"][f"{_LABEL}/node-id"]
        nodes = (found.get("status") or {}).get("nodes", {})
        return bool(nodes.get(node, {}).get("phase") == "Running")

    def _report(self, pod: Json, phase: str, state: Json) -> None:
        spec, done = pod["spec"], {"exitCode": 0, "startedAt": _now(), "finishedAt": _now()}
        quiet = {"terminated": {**done, "reason": "Completed"}}

        def status(container: Json, state: Json) -> Json:
            known = {"name": container["name"], "image": container["image"], "imageID": ""}
            return {**known, "ready": False, "restartCount": 0, "state": state}

        main = [
            status(one, state if one["name"] == "main" or phase == "Running" else quiet)
            for one in spec["containers"]
        ]
        init = [status(one, quiet) for one in spec.get("initContainers", [])]
        body = {"phase": phase, "initContainerStatuses": init, "containerStatuses": main}
        client.CoreV1Api(self.cluster.client()).patch_namespaced_pod_status(
            pod["metadata"]["name"], "kubeflow", {"status": body}
        )

    def _result(self, workflow: str, pod: Json, code: int) -> None:
        """Reports to the controller as the executor does, with the account of the step."""
        api = self.cluster.account(pod["spec"]["serviceAccountName"])
        labels = {
            f"{_LABEL}/workflow": workflow,
            f"{_LABEL}/report-outputs-completed": "true",
        }
        name = pod["metadata"]["annotations"][f"{_LABEL}/node-id"]
        body = {
            "apiVersion": _API,
            "kind": "WorkflowTaskResult",
            "metadata": {"name": name, "labels": labels},
            "outputs": {"exitCode": str(code)},
        }
        api.create(api.path(_API, "workflowtaskresults"), body)


@dataclass(frozen=True)
class Argo:
    """A controller in the namespace `kubeflow`.

    Attributes:
        pods: ends its pods.
        instance: workflows with this label are the controller's; empty for those without.
    """

    pods: Pods
    instance: str = ""

    @property
    def name(self) -> str:
        """The name of its ConfigMap."""
        return _name(self.instance)

    def settings(self) -> dict[str, str]:
        """The texts of its ConfigMap."""
        api = self.pods.cluster.admin()
        found: Json = api.find(api.path("v1", "configmaps", self.name)) or {}
        return dict(found["data"])

    def run(self, workflow: Json, *ends: End, seconds: float = 90) -> tuple[str, list[Json]]:
        """Runs a workflow to its end.

        Args:
            workflow: its definition.
            ends: of the attempts.
            seconds: until it must have ended.

        Returns:
            Its name, and the nodes of its pods in the order of their start.
        """
        tree = json.loads(json.dumps(workflow))
        tree["metadata"]["name"] = name = f"retries-{time.monotonic_ns()}"
        if self.instance:
            tree["metadata"]["labels"] = {f"{_LABEL}/controller-instanceid": self.instance}
        self.pods.ends[name] = ends
        api = self.pods.cluster.admin()
        api.create(api.path(_API, "workflows"), tree)

        def status() -> Json:
            found = api.find(api.path(_API, "workflows", name)) or {}
            known: Json = found.get("status") or {}
            return known

        until(lambda: status().get("phase") in ("Succeeded", "Failed", "Error"), seconds)
        nodes = [one for one in status()["nodes"].values() if one["type"] == "Pod"]
        return name, sorted(nodes, key=lambda one: (one["startedAt"], one["name"]))


@contextmanager
def pods_of(cluster: Cluster) -> Iterator[Pods]:
    """Ends the pods of a cluster for as long as the context lasts."""
    found = Pods(cluster)
    thread = threading.Thread(target=found.serve)
    thread.start()
    try:
        yield found
    finally:
        found.stop()
        thread.join()


@contextmanager
def controller(
    pods: Pods, tools: Path, folder: Path, settings: Mapping[str, Any], instance: str = ""
) -> Iterator[Argo]:
    """Runs a controller for pods whose ends a test decides; `workflow_controller` has the rest."""
    with workflow_controller(pods.cluster, tools, folder, settings, instance):
        yield Argo(pods, instance)


@contextmanager
def workflow_controller(
    cluster: Cluster, tools: Path, folder: Path, settings: Mapping[str, Any], instance: str = ""
) -> Iterator[None]:
    """Runs a controller.

    Args:
        cluster: has the workflows.
        tools: the folder of the programs.
        folder: where its log goes.
        settings: of its ConfigMap, as values of YAML.
        instance: distinguishes several controllers.
    """
    name = configure(cluster, settings, instance)
    command = [str(tools / "workflow-controller"), f"--configmap={name}", "--namespaced"]
    command += [f"--kubeconfig={cluster.kubeconfig}", f"--context={cluster.context}"]
    command += ["--namespace=kubeflow", "--executor-image=argoexec", "--workflow-workers=4"]
    env = {**os.environ, "LEADER_ELECTION_DISABLE": "true", "DEFAULT_REQUEUE_TIME": "100ms"}
    env["RECENTLY_STARTED_POD_DURATION"] = "0s"  # a pod younger than that is not missed when lost
    with running(command, folder / f"{name}.log", env):
        yield


def with_default(strategy: Mapping[str, str]) -> Json:
    """The settings of a controller that gives every template a retry strategy."""
    return {"workflowDefaults": {"spec": {"templateDefaults": {"retryStrategy": dict(strategy)}}}}


def configure(cluster: Cluster, settings: Mapping[str, Any], instance: str = "") -> str:
    """Writes the ConfigMap of a controller, which may run and then follows it; its name."""
    name = _name(instance)
    quiet = {"metricsConfig": {"enabled": False}, "telemetryConfig": {"enabled": False}}
    data = {key: yaml.safe_dump(value) for key, value in {**quiet, **settings}.items()}
    metadata = {"name": name, "namespace": "kubeflow"}
    data |= {"instanceID": instance} if instance else {}
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    cluster.apply({**kind, "metadata": metadata, "data": data})
    return name


def _name(instance: str) -> str:
    return f"{CONFIG_MAP}{instance and '-'}{instance}"


def _variable(pod: Json, name: str) -> str:
    found = [
        one.get("value", "")
        for container in pod["spec"]["containers"]
        for one in container.get("env", [])
        if one["name"] == name
    ]
    return found[0] if found else ""


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
