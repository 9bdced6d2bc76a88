"""Logs of a step's pods.

The server reads the log of a pod that exists, or else the archive of the workflow engine, if the
installation keeps one. A log that is gone with its pod is empty.
"""

from typing import Any

_TIMEOUT_S = (5, 15)


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
