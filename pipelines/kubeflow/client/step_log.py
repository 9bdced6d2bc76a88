"""Reason of a step's failure, from the log of its pod.

The API reports a step's state and nodes, but neither their pods' names nor a reason. A
pod is named by the workflow, the template and the node's number, and the template by the backend:
those of 2.5 to 2.17 are tried. A log that is gone, with its pod, is no reason.
"""

import re
from collections.abc import Iterator
from typing import Any

_TEMPLATES = (
    "system-container-impl",
    "retry-system-container-impl",
    "{step}-system-container-impl",
)
_EXECUTOR = "executor"
#: An exception's own line, as Python and our entry point print it.
_REASON = re.compile(r"^(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Failed|Exit|Interrupt)\b.*")
_MOST_PODS = 20
_LONGEST = 300
_TIMEOUT_S = (5, 15)


def reason_of(api_client: Any, run_id: str, step: str, tasks: list[Any], labels: int = 0) -> str:
    """Returns the last error of a failed step; empty if its log is not available.

    Args:
        api_client: of the server that ran it.
        run_id: the run.
        step: the step's name.
        tasks: the run's task details, as the API reports them.
        labels: number of labels that the package gives the step's pod.
    """
    for pod in list(_pods(step, tasks, labels))[:_MOST_PODS]:
        if reason := last_reason(_log(api_client, run_id, pod)):
            return reason
    return ""


def last_reason(log: str) -> str:
    """Returns the last exception in a log, or else its last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    found = [line for line in lines if _REASON.match(line)] or lines
    return found[-1][:_LONGEST] if found else ""


def _pods(step: str, tasks: list[Any], labels: int) -> Iterator[str]:
    """Yields possible names of a step's pods, the likeliest first."""
    templates = [f"metadata-0-{labels}-{one}" for one in _TEMPLATES[:2]] if labels else []
    templates += _TEMPLATES
    for node in _nodes(step, [task for task in tasks if task.state == "FAILED"]):
        workflow, _, number = node.rpartition("-")
        if workflow:
            names = (template.format(step=step) for template in templates)
            yield from (f"{workflow}-{name}-{number}" for name in names)


def _nodes(step: str, failed: list[Any]) -> list[str]:
    """Returns the nodes below a step, which include its pods, deepest and latest first.

    If the server does not name the nodes, it returns the only failed executor.
    """
    known = {task.pod_name: task for task in failed if task.pod_name}
    level = [task for task in failed if task.display_name == step]
    executors = [task for task in failed if task.display_name == _EXECUTOR]
    if not known and len(executors) == 1:
        level += executors
    found: list[str] = []
    while level:
        below = [child.pod_name for task in level for child in task.child_tasks or []]
        new = [node for node in dict.fromkeys(below) if node and node not in found]
        found += new
        level = [known[node] for node in new if node in known]
    return found[::-1]


def _log(api_client: Any, run_id: str, pod: str) -> str:
    """Returns the log of a pod; the server responds 200 and an error's JSON if there is none."""
    import urllib3
    from kfp_server_api import ApiException

    try:
        answer = api_client.call_api(
            "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log",
            "GET",
            path_params={"run_id": run_id, "node_id": pod},
            header_params={"Accept": "text/plain"},
            auth_settings=["Bearer"],
            _preload_content=False,
            _return_http_data_only=True,
            _request_timeout=_TIMEOUT_S,
        )
        text = answer.data.decode("utf-8", "replace")
    except (ApiException, urllib3.exceptions.HTTPError):
        return ""
    kind = answer.headers.get("content-type", "")
    is_log = "html" not in kind and "error_message" not in text[:40] and text[:1] != "<"
    return text if is_log else ""
