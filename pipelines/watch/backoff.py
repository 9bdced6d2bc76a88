"""How long to wait before a start is tried again."""

from collections.abc import Callable

from pipelines.config.watch import RetryConfig


def delay(retry: RetryConfig, failures: int, draw: Callable[[], float]) -> float:
    """Seconds to wait after so many failures: half of it fixed, half drawn, so that watchers part.

    Args:
        draw: a number from 0 to 1.
    """
    exponent = min(failures - 1, 64)  # beyond it any factor has met the limit
    longest = min(retry.first_s * retry.factor**exponent, retry.max_s)
    return longest * (0.5 + 0.5 * draw())
