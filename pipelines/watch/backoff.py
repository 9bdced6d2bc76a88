"""Backoff between attempts to start a run."""

from collections.abc import Callable

from pipelines.config.watch import RetryConfig


def delay(retry: RetryConfig, failures: int, draw: Callable[[], float]) -> float:
    """Returns the seconds to wait after a number of failures, half of them random jitter.

    Args:
        draw: returns a random number from 0 to 1.
    """
    exponent = min(failures - 1, 64)  # beyond it any factor has reached the limit
    longest = min(retry.first_s * retry.factor**exponent, retry.max_s)
    return longest * (0.5 + 0.5 * draw())
