"""The workflow of a run in Argo, and its form in answers of servers up to 2.17.

Every template may be tried again by the settings of 2.17.0, so each node has an attempt beside it:
the workflow, the root, each step, its driver, and below each step its executor.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from tests.kubeflow.api_server import models

Json = dict[str, Any]

_NAME = "tiny-x7k2p"
_TEMPLATE = "system-container-impl"
_NOT_YET, _ENDED_AT = "0001-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
#: A step whose pod was ended by Kubernetes or Argo, with this message of Argo's.
KILLED, KILLED_MESSAGE = "KILLED", "Step exceeded its deadline"
#: A step whose driver failed, so that it never began.
UNPREPARED = "UNPREPARED"
#: In place of a step: the pipeline's own driver failed, and no step began.
ROOT = "root"
_PHASES = {"CACHED": "Succeeded", KILLED: "Failed", UNPREPARED: "Omitted"}
_UNKNOWN = "Omitted"
_MESSAGES = {"FAILED": "main: Error (exit code 1)", KILLED: KILLED_MESSAGE}


def workflow_of(steps: Mapping[str, str], state: str) -> Json:
    """The workflow of a run.

    Args:
        steps: the state of each step, KILLED or UNPREPARED; CACHED is known to Argo as a step
            without an executor. ROOT is UNPREPARED if the pipeline's driver failed.
        state: of the run.
    """
    steps = dict(steps)
    begun = steps.pop(ROOT, "") != UNPREPARED
    root = f"{_NAME}(0).root(0)"
    nodes = [
        *_tried(_NAME, state, "DAG", "entrypoint", 1),
        *_driver(f"{_NAME}(0).root", "system-dag-driver", 3, failed=not begun),
        *_tried(f"{_NAME}(0).root", state if begun else "OMITTED", "DAG", "root", 5),
    ]
    for number, (step, now) in enumerate(steps.items()):
        first = _first(number)
        failed = now == UNPREPARED
        nodes += _driver(f"{root}.{step}", "system-container-driver", first, failed=failed)
        nodes += _tried(f"{root}.{step}", now, "DAG", "system-container-executor", first + 2)
        name = f"{root}.{step}(0).executor"
        nodes[-1]["children"] = [f"{_NAME}-{first + 4:04}"]
        if now == "CACHED":
            nodes.append(_node(name, "SKIPPED", "Skipped", _TEMPLATE, first + 4))
            nodes[-1]["message"] = "when 'true != true' evaluated false"
        elif now not in ("SKIPPED", "OMITTED", UNPREPARED):
            said = {"message": _MESSAGES[now]} if now in _MESSAGES else {}
            nodes += [{**one, **said} for one in _tried(name, now, "Pod", _TEMPLATE, first + 4)]
    metadata = {"name": _NAME, "annotations": {"workflows.argoproj.io/pod-name-format": "v2"}}
    status = {"phase": _phase(state), "nodes": {one["id"]: one for one in nodes}}
    return {"metadata": metadata, "status": status}


def details_of(workflow: Json, run_id: str) -> list[Json]:
    """Returns the nodes as in the server's answers, which name only the ids of the nodes below."""
    return [_detail(node, run_id) for node in workflow["status"]["nodes"].values()]


def executor_pod(number: int) -> str:
    """The pod of the step of a number, counted from 0."""
    return f"{_NAME}-{_TEMPLATE}-{_first(number) + 5:04}"


def driver_pod(number: int) -> str:
    """The pod of the driver of the step of a number; -1 is that of the pipeline."""
    template = "system-container-driver" if number >= 0 else "system-dag-driver"
    return f"{_NAME}-{template}-{_first(number) + 1 if number >= 0 else 4:04}"


def _driver(name: str, template: str, number: int, *, failed: bool) -> list[Json]:
    state = "FAILED" if failed else "SUCCEEDED"
    said = {"message": _MESSAGES["FAILED"]} if failed else {}
    tried = _tried(f"{name}-driver", state, "Pod", template, number)
    return [{**one, **said} for one in tried]


def _first(number: int) -> int:
    """The number of a step's first node."""
    return 10 * (number + 1)


def _tried(name: str, state: str, kind: str, template: str, number: int) -> list[Json]:
    """A node that may be tried again, and its only attempt."""
    whole = _node(name, state, "Retry", template, number)
    whole["children"] = [f"{_NAME}-{number + 1:04}"]
    return [whole, _node(f"{name}(0)", state, kind, template, number + 1)]


def _node(name: str, state: str, kind: str, template: str, number: int) -> Json:
    return {
        "id": f"{_NAME}-{number:04}",
        "name": name,
        "displayName": name.rpartition(".")[2],
        "type": kind,
        "templateName": template,
        "phase": _phase(state),
        "startedAt": "2026-01-01T00:00:00Z",
        "finishedAt": None if state in ("PENDING", "RUNNING") else _ENDED_AT,
    }


def _phase(state: str) -> str:
    return _PHASES.get(state, state.capitalize())


def _detail(node: Json, run_id: str) -> Json:
    """A phase that the API has no state for, such as Omitted, becomes none at all."""
    children = [
        models.response("PipelineTaskDetailChildTask", pod_name=one)
        for one in node.get("children", [])
    ]
    return models.response(
        "V2beta1PipelineTaskDetail",
        run_id=run_id,
        task_id=str(uuid.uuid4()),
        display_name=node["displayName"],
        state=None if node["phase"] == _UNKNOWN else node["phase"].upper(),
        end_time=node["finishedAt"] or _NOT_YET,
        child_tasks=children or None,
    )
