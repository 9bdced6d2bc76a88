"""A JobSet from its creation to its deletion, with the logs and failures of its pods."""

import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from components.raster.errors import SkymillError
from components.raster.process_exit import EXIT_KILLED, EXIT_LASTING, EXIT_STOPPED
from pipelines.kubeflow.cluster.api import KubernetesApi, KubernetesError
from pipelines.kubeflow.cluster.jobset import (
    API,
    ATTEMPT_LABEL,
    INDEX_LABEL,
    RESOURCE,
    RUN_LABEL,
    SET_LABEL,
)
from pipelines.kubeflow.contract.package_format import Json
from pipelines.kubeflow.contract.reason import last_reason

POLL_S = 5.0
#: Seconds that the API server may be unreachable before the step gives up.
_PATIENCE_S = 300.0
#: Seconds that the deletion of an earlier attempt's JobSet may take.
_DELETION_S = 300.0
_CONFLICT = 409
_KEPT_LINES = 200
#: A worker's words when another one was lost first (`trainer.training.failures`).
_SECONDARY = "Another worker is gone"
_WAS_KILLED = "it was killed (SIGKILL), as when its node has no memory left"


class WorkersFailed(SkymillError):
    """The workers did not finish the training."""


class WorkersRefused(WorkersFailed):
    """The first worker to fail reported faulty data or a faulty configuration."""

    lasting = True


@dataclass
class WorkerSet:
    """The JobSet of one step.

    Attributes:
        api: the Kubernetes API of the step's namespace.
        manifest: the JobSet.
        out: where the workers' logs go.
        poll_s: seconds between two polls.
        patience_s: seconds that the API server may be unreachable.
    """

    api: KubernetesApi
    manifest: Json
    out: TextIO = field(default_factory=lambda: sys.stdout)
    poll_s: float = POLL_S
    patience_s: float = _PATIENCE_S
    _logs: dict[str, "_Log"] = field(default_factory=dict)
    _failures: dict[str, "_Failure"] = field(default_factory=dict)
    _printed: str = ""

    def run(self) -> None:
        """Creates the JobSet, waits for its end, and deletes it in any case.

        A SIGTERM, which the entry point makes a `SystemExit`, deletes it too; the workers then save
        their state.

        Raises:
            WorkersFailed: the workers have failed for good; the message names the first of them
                with the reason in its log. WorkersRefused if their data are at fault.
            KubernetesError: the API server refuses, or stays unreachable.
        """
        self._create()
        try:
            self._follow()
        finally:
            self.api.delete(self._path)

    @property
    def _name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def _path(self) -> str:
        return self.api.path(API, RESOURCE, self._name)

    def _create(self) -> None:
        """Creates the JobSet, unless an earlier attempt of the same run left one that has finished.

        One that has not is deleted first: its workers save their state. That may take their whole
        grace period, also for a run that was stopped.
        """
        deadline = time.monotonic() + _DELETION_S
        while True:
            try:
                self.api.create(self.api.path(API, RESOURCE), self.manifest)
                return
            except KubernetesError as error:
                if error.status != _CONFLICT or time.monotonic() > deadline:
                    raise
            if self._has_finished_before():
                return
            time.sleep(self.poll_s)

    def _has_finished_before(self) -> bool:
        """Returns True for a JobSet of the same run that has finished; deletes any other of it."""
        found = self.api.find(self._path)
        if found is None or "deletionTimestamp" in found["metadata"]:
            return False
        run = (found["metadata"].get("labels") or {}).get(RUN_LABEL)
        if run != self.manifest["metadata"]["labels"][RUN_LABEL]:
            raise WorkersFailed(
                f"the run {run} trains with the same configuration on the same examples (JobSet "
                f"{self._name}): wait for its end, or stop it"
            )
        if "Completed" in _conditions(found):
            print("the workers of an earlier attempt have finished", file=self.out, flush=True)
            return True
        self.api.delete(self._path)
        return False

    def _follow(self) -> None:
        answered = time.monotonic()
        while True:
            try:
                found = self.api.find(self._path)
                if found is None:
                    raise WorkersFailed(f"the JobSet {self._name} was deleted by someone else")
                self._look_at_pods()
                answered = time.monotonic()
            except KubernetesError as error:
                if not error.transient or time.monotonic() - answered > self.patience_s:
                    raise
                found = {}
            conditions = _conditions(found)
            if "Completed" in conditions:
                self._finish_logs()
                return
            if "Failed" in conditions:
                self._look_at_pods()
                self._finish_logs()
                raise self._failure(conditions["Failed"].get("message", ""))
            time.sleep(self.poll_s)

    def _look_at_pods(self) -> None:
        query = {"labelSelector": f"{SET_LABEL}={self._name}"}
        pods = (self.api.find(self.api.path("v1", "pods"), **query) or {}).get("items", [])
        for pod in pods:
            name, labels = pod["metadata"]["name"], pod["metadata"].get("labels") or {}
            phase = (pod.get("status") or {}).get("phase", "Pending")
            if phase != "Pending" and name not in self._logs:
                self._logs[name] = _Log(self.api, name, labels.get(INDEX_LABEL, "?"), self.out)
            if failure := _failure(pod):
                self._failures.setdefault(name, failure)
        self._print_phases(pods)

    def _print_phases(self, pods: list[Json]) -> None:
        """Prints the pods' phases, and why they wait, whenever they change."""
        phases = [(pod.get("status") or {}).get("phase", "Pending") for pod in pods]
        waiting = {
            one["message"]
            for pod in pods
            for one in (pod.get("status") or {}).get("conditions") or []
            if one.get("type") == "PodScheduled" and one.get("status") == "False"
        }
        counts = ", ".join(f"{phases.count(it)} {it.lower()}" for it in sorted(set(phases)))
        line = "; ".join([f"workers: {counts or 'none yet'}", *sorted(waiting)])
        if line != self._printed:
            self._printed = line
            print(line, file=self.out, flush=True)

    def _finish_logs(self) -> None:
        for log in self._logs.values():
            log.join()

    def _failure(self, message: str) -> WorkersFailed:
        """Returns the first failure of the last attempt, with the reason in its log."""
        attempt = max((one.attempt for one in self._failures.values()), default=0)
        failed = {
            pod: (one, self._reason(pod, one))
            for pod, one in self._failures.items()
            if one.attempt == attempt
        }
        if not failed:
            return WorkersFailed(f"the workers have failed: {message}")
        first, reason = min(failed.values(), key=_order)
        detail = f"exit code {first.code}" + (f", {first.cause}" if first.cause else "")
        attempts = f" in attempt {attempt + 1}" if attempt else ""
        kind = WorkersRefused if first.code == EXIT_LASTING else WorkersFailed
        return kind(f"worker {first.index} has failed{attempts} ({detail}): {reason or message}")

    def _reason(self, pod: str, failure: "_Failure") -> str:
        """Returns the reason in a worker's log; one that was killed could not give any."""
        lines = self._logs[pod].lines if pod in self._logs else ()
        return last_reason("\n".join(lines), _WAS_KILLED if failure.code == EXIT_KILLED else "")


def _conditions(found: Json) -> dict[str, Json]:
    """Returns the conditions of a JobSet that are true, by type."""
    conditions = (found.get("status") or {}).get("conditions") or []
    return {one["type"]: one for one in conditions if one.get("status") == "True"}


def _order(failed: tuple["_Failure", str]) -> tuple[bool, str, str]:
    """Sorts failures by time; last are those of workers that only followed another one.

    Kubernetes reports times in whole seconds, and stops the other workers within one.
    """
    failure, reason = failed
    followed = failure.code == EXIT_STOPPED or _SECONDARY in reason
    return followed, failure.finished, failure.index


@dataclass(frozen=True)
class _Failure:
    """Failure of one pod, as the kubelet reports it."""

    index: str
    attempt: int
    code: int
    cause: str
    finished: str


class _Log:
    """Copies the lines of a pod's log, as they appear, and keeps the last of them."""

    def __init__(self, api: KubernetesApi, pod: str, index: str, out: TextIO) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._api, self._pod, self._index, self._out = api, pod, index, out
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Waits a moment for the last lines of a pod that has ended."""
        self._thread.join(timeout=5)

    def _copy(self) -> None:
        from urllib3.exceptions import HTTPError

        try:
            for line in self._api.log_lines(self._pod):
                self.lines.append(line)
                print(f"[worker {self._index}] {line}", file=self._out, flush=True)
        except (KubernetesError, HTTPError) as error:
            print(f"[worker {self._index}] log lost: {error}", file=self._out, flush=True)


def _failure(pod: Json) -> _Failure | None:
    status: Mapping[str, Any] = pod.get("status") or {}
    labels = pod["metadata"].get("labels") or {}
    for container in status.get("containerStatuses") or []:
        ended = (container.get("state") or {}).get("terminated")
        if ended and ended.get("exitCode"):
            cause = ended.get("reason", "")
            return _Failure(
                index=labels.get(INDEX_LABEL, "?"),
                attempt=int(labels.get(ATTEMPT_LABEL, 0)),
                code=int(ended["exitCode"]),
                cause="" if cause == "Error" else cause,
                finished=ended.get("finishedAt", ""),
            )
    return None
