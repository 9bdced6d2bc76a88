"""Logs of a step's pods, and the reason of a failure in them.

The server reads the log of a pod that exists, or else the archive of the workflow engine, if the
installation keeps one. A log that is gone with its pod is empty, and no reason.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

#: An exception's own line, as Python and our entry point print it.
_REASON = re.compile(r"^(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Failed|Exit|Interrupt)\b.*")
_MOST_PODS = 20
_LONGEST = 300
_TIMEOUT_S = (5, 15)


def first_log(pods: Sequence[str], read: Callable[[str], str]) -> str:
    """Returns the first available log of the given pods, or an empty text."""
    return next((log for pod in pods[:_MOST_PODS] if (log := read(pod))), "")


def last_reason(log: str) -> str:
    """Returns the last exception in a log, or else its last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    found = [line for line in lines if _REASON.match(line)] or lines
    return found[-1][:_LONGEST] if found else ""


def read_log(api_client: Any, run_id: str, pod: str) -> str:
    """Returns the log of a pod; the server responds 200 and an error's JSON if there is none.

    Args:
        api_client: the HTTP client of Kubeflow's client.
        run_id: the run.
        pod: the name of the pod.
    """
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
