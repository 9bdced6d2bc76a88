"""How long to wait before a start is tried again."""

from collections.abc import Callable

from pydantic import Field

from components.raster.frozen import Frozen


class RetryConfig(Frozen):
    """Waits between attempts to start a run: each longer than the one before, up to a limit."""

    first_s: float = Field(default=30.0, gt=0, description="before the second attempt")
    factor: float = Field(default=2.0, ge=1, description="from one wait to the next")
    max_s: float = Field(default=3600.0, gt=0, description="no wait is longer")


def delay(retry: RetryConfig, failures: int, draw: Callable[[], float]) -> float:
    """Seconds to wait after so many failures: half of it fixed, half drawn, so that watchers part.

    Args:
        draw: a number from 0 to 1.
    """
    exponent = min(failures - 1, 64)  # beyond it any factor has met the limit
    longest = min(retry.first_s * retry.factor**exponent, retry.max_s)
    return longest * (0.5 + 0.5 * draw())
