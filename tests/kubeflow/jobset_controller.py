"""JobSet's controller and a kubelet, for pods that are processes of this machine.

Written from the behaviour of JobSet 0.12 (pkg/controllers) and of Kubernetes' indexed Jobs: host
names, labels, one failed pod fails its Job, a failed Job is deleted with its pods and created anew
until `maxRestarts`, a pod failure policy ends the set at once, deletion ends the pods with SIGTERM.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.kubeflow.cluster import Cluster

Json = dict[str, Any]


class Controller:
    """Runs every JobSet that is created in a cluster.

    Attributes:
        started: the processes of each attempt, by attempt and index.
        unschedulable: a message for as long as no pod can be placed.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.started: list[list[subprocess.Popen[str]]] = []
        self.unschedulable = ""
        self._cluster = cluster
        self._threads: list[threading.Thread] = []
        self._gone: set[str] = set()
        cluster.created, cluster.deleted = self._created, self._deleted

    def join(self) -> None:
        """Ends all processes and waits for the controller's threads."""
        for processes in self.started:
            for process in processes:
                process.kill()
        for thread in self._threads:
            thread.join()

    def _created(self, found: Json) -> None:
        if found.get("kind") == "JobSet":
            thread = threading.Thread(target=self._run, args=(found,))
            self._threads.append(thread)
            thread.start()

    def _deleted(self, found: Json) -> None:
        if found.get("kind") == "JobSet":
            self._gone.add(found["metadata"]["uid"])

    def _run(self, found: Json) -> None:
        [job] = found["spec"]["replicatedJobs"]
        spec = job["template"]["spec"]
        limit = found["spec"]["failurePolicy"]["maxRestarts"]
        for attempt in range(limit + 1):
            codes = self._attempt(found, job["name"], spec, attempt)
            if found["metadata"]["uid"] in self._gone:
                return
            if not any(codes):
                self._end(found, "Completed", "jobset completed successfully")
                return
            rules = spec["podFailurePolicy"]["rules"]
            if any(code in rules[0]["onExitCodes"]["values"] for code in codes):
                self._end(found, "Failed", "failed by the pod failure policy")
                return
            if attempt < limit:
                self._delete_pods(found)
        self._end(found, "Failed", "jobset failed due to reaching max number of restarts")

    def _attempt(self, found: Json, job: str, spec: Json, attempt: int) -> list[int]:
        """Runs the pods of one attempt and returns their exit codes."""
        name = found["metadata"]["name"]
        ports = _free_ports(spec["completions"])
        pods = [self._pod(found, job, spec, attempt, index) for index in range(len(ports))]
        while self.unschedulable and found["metadata"]["uid"] not in self._gone:
            time.sleep(0.02)
        processes = [
            _start(spec["template"]["spec"], name, job, index, ports) for index in range(len(ports))
        ]
        self.started.append(processes)
        for pod, process in zip(pods, processes, strict=True):
            pod["status"] = {"phase": "Running"}
            log = self._cluster.logs.setdefault(pod["metadata"]["name"], [])
            thread = threading.Thread(target=_read, args=(process, log))
            self._threads.append(thread)
            thread.start()
        ended = False
        while any(process.poll() is None for process in processes):
            failed = any(process.poll() for process in processes)
            gone = found["metadata"]["uid"] in self._gone
            if (failed or gone) and not ended:
                ended = True
                if failed:  # the others notice by themselves within the time of a reconciliation
                    time.sleep(0.5)
                for process in processes:
                    process.send_signal(signal.SIGTERM)
            self._report(pods, processes)
            time.sleep(0.02)
        self._report(pods, processes)
        return [process.returncode for process in processes]

    def _pod(self, found: Json, job: str, spec: Json, attempt: int, index: int) -> Json:
        name = found["metadata"]["name"]
        labels = {
            **spec["template"]["metadata"]["labels"],
            "jobset.sigs.k8s.io/jobset-name": name,
            "jobset.sigs.k8s.io/restart-attempt": str(attempt),
            "batch.kubernetes.io/job-completion-index": str(index),
        }
        status: Json = {"phase": "Pending"}
        if self.unschedulable:
            placed = {"type": "PodScheduled", "status": "False", "message": self.unschedulable}
            status["conditions"] = [placed]
        body = {
            "kind": "Pod",
            "metadata": {"name": f"{name}-{job}-0-{index}-{attempt:05}", "labels": labels},
            "status": status,
        }
        return self._cluster.put("v1", "pods", body)

    def _delete_pods(self, found: Json) -> None:
        root = "/api/v1/namespaces/kubeflow/pods"
        label = {"jobset.sigs.k8s.io/jobset-name": found["metadata"]["name"]}
        for pod in self._cluster.listed(root, label):
            self._cluster.answer("DELETE", f"{root}/{pod['metadata']['name']}", {}, None)

    @staticmethod
    def _report(pods: list[Json], processes: list[subprocess.Popen[str]]) -> None:
        for pod, process in zip(pods, processes, strict=True):
            code = process.poll()
            if code is None or pod["status"]["phase"] in ("Failed", "Succeeded"):
                continue
            ended = {
                "exitCode": code if code >= 0 else 128 - code,
                "reason": "Error" if code else "Completed",
                "finishedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            }
            phase = "Failed" if code else "Succeeded"
            statuses = [{"name": "worker", "state": {"terminated": ended}}]
            pod["status"] = {"phase": phase, "containerStatuses": statuses}

    @staticmethod
    def _end(found: Json, kind: str, message: str) -> None:
        found["status"] = {"conditions": [{"type": kind, "status": "True", "message": message}]}


@contextmanager
def jobset_controller(cluster: Cluster) -> Iterator[Controller]:
    """Runs the controller of a cluster; no process is left behind."""
    controller = Controller(cluster)
    try:
        yield controller
    finally:
        controller.join()


def _start(pod: Json, name: str, job: str, index: int, ports: list[int]) -> subprocess.Popen[str]:
    """Starts the container of a pod; host names become ports of loopback."""
    [container] = pod["containers"]
    known: dict[str, str] = {}
    for one in container["env"]:
        if "value" in one:
            known[one["name"]] = re.sub(
                r"\$\((\w+)\)", lambda it: known.get(it[1], it[0]), one["value"]
            )
        elif "fieldRef" in one["valueFrom"]:
            assert "job-completion-index" in one["valueFrom"]["fieldRef"]["fieldPath"]
            known[one["name"]] = str(index)
    for number, port in enumerate(ports):
        host = f"{name}-{job}-0-{number}.{name}"
        known["TF_CONFIG"] = re.sub(
            rf"{re.escape(host)}:\d+", f"127.0.0.1:{port}", known["TF_CONFIG"]
        )
    words = container["command"]
    return subprocess.Popen(
        [sys.executable if words[0] == "python" else words[0], *words[1:]],
        env={**os.environ, **known, "TF_NUM_INTRAOP_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _read(process: subprocess.Popen[str], log: list[str | None]) -> None:
    assert process.stdout
    for line in process.stdout:
        log.append(line.rstrip("\n"))
    process.wait()
    log.append(None)


def _free_ports(count: int) -> list[int]:
    import socket

    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
