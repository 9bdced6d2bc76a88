"""A step's retries as the backend passes them to Argo, and Argo's decisions.

Written from the behaviour of the compiler (v2/compiler/argocompiler/container.go) and of Argo's
controller: the text of `retryStrategy`, and when a failed attempt is followed by another.
"""

from typing import Any

Json = dict[str, Any]


def retry_strategy(policy: Json) -> Json:
    """The strategy that the compiler writes for a task's `retryPolicy`; durations in seconds."""
    return {
        "limit": str(policy["maxRetryCount"]),
        "backoff": {
            "duration": policy.get("backoffDuration", "0s").removesuffix("s"),
            "factor": f"{policy.get('backoffFactor', 0.0):g}",
            "maxDuration": policy.get("backoffMaxDuration", "0s").removesuffix("s"),
        },
    }


def is_tried_again(strategy: Json, attempts: int, elapsed_s: float) -> bool:
    """Checks whether a failed attempt is followed by another.

    Args:
        strategy: as `retry_strategy` writes it.
        attempts: how many there were.
        elapsed_s: since the first of them began.
    """
    if attempts > int(strategy["limit"]):
        return False
    backoff = strategy["backoff"]
    if not backoff["factor"].isdecimal():  # an integer or a string that holds one
        return False
    factor = int(backoff["factor"])
    pause_s = int(backoff["duration"]) * (factor ** (attempts - 1) if factor else 1)
    return elapsed_s + pause_s <= int(backoff["maxDuration"])
