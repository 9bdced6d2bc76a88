"""Sides of a benchmark, measured in turns, and ratios with their spread.

A shared machine varies in speed. Sides therefore take turns, and a ratio is the median over rounds
of the two costs in the same round. A ratio is not printed where it varies between rounds by more
than the difference that it states: it would measure the machine and not the code.

>>> rounds = Rounds(("ours", "other"))
>>> for ours, other in ((1.0, 2.0), (1.1, 2.1), (0.9, 1.9)):
...     rounds.add({"ours": Cost(ours, ours), "other": Cost(other, other)})
>>> print(rounds.ratio("other", "ours"))
2.00 (1.95 to 2.06)
"""

import gc
import math
import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

#: Variation that a ratio may have, however near to one it is.
_PRECISION = math.log(1.1)


class Cost(NamedTuple):
    """Wall-clock and processor seconds (of this process and those it started) of one run."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Ratio:
    """A ratio of costs over rounds.

    Attributes:
        value: the median.
        low: the lower quartile over rounds.
        high: the upper quartile.
    """

    value: float
    low: float
    high: float

    @property
    def is_measured(self) -> bool:
        """False if it varies by more than it states."""
        spread = math.log(self.high / self.low)
        return spread <= max(abs(math.log(self.value)), _PRECISION)

    def __str__(self) -> str:
        if self.is_measured:
            return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"
        return (
            f"not measured: it varied from {self.low:.2f} to {self.high:.2f} between rounds; "
            "run it again on a quiet machine, or with more rounds"
        )


def ratio_of(values: Sequence[float]) -> Ratio:
    """Summarises the ratios of several rounds."""
    if len(values) < 2:
        return Ratio(values[0], values[0], values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Ratio(median(values), low, high)


class Rounds:
    """Costs of the same sides in several rounds."""

    def __init__(self, sides: Sequence[str]) -> None:
        self.sides = tuple(sides)
        self._costs: list[Mapping[str, Cost]] = []

    def add(self, costs: Mapping[str, Cost]) -> None:
        """Adds one round, which has every side."""
        self._costs.append({side: costs[side] for side in self.sides})

    def typical(self, side: str) -> Cost:
        """Returns the median costs of a side."""
        return Cost(
            median(costs[side].wall for costs in self._costs),
            median(costs[side].cpu for costs in self._costs),
        )

    def ratio(self, above: str, below: str, measure: str = "wall", factor: float = 1.0) -> Ratio:
        """Returns the ratio of the costs of two sides.

        Args:
            above: side whose cost is divided.
            below: side that it is divided by.
            measure: `wall` or `cpu`.
            factor: multiplies the ratio, where sides do different amounts of work.
        """
        return ratio_of(
            [
                factor * getattr(costs[above], measure) / getattr(costs[below], measure)
                for costs in self._costs
            ]
        )


def take_turns(
    sides: Mapping[str, Callable[[], object]], rounds: int, *, collect: bool = True
) -> Rounds:
    """Runs each side once in each round; every second round runs them in reverse order.

    Args:
        sides: sides by name.
        rounds: number of rounds.
        collect: as for `cost_of`.
    """
    found = Rounds(tuple(sides))
    for number in range(rounds):
        order = list(sides.items())
        turns = order if number % 2 == 0 else order[::-1]
        costs = {name: cost_of(run, collect=collect) for name, run in turns}
        found.add(costs)
    return found


def cost_of(run: Callable[[], object], *, collect: bool = True) -> Cost:
    """Measures one run; `collect` removes garbage first, which is too slow for short runs."""
    if collect:
        gc.collect()  # otherwise collecting the garbage of imports counts for one of the sides
    wall, cpu = time.perf_counter(), _cpu_s()
    run()
    return Cost(time.perf_counter() - wall, _cpu_s() - cpu)


@contextmanager
def machine_load() -> Iterator[None]:
    """Prints, at the end, how busy other programs kept the machine."""
    cores = os.cpu_count() or 1
    wall, ours, busy = time.perf_counter(), _cpu_s(), _busy_s()
    yield
    seconds = time.perf_counter() - wall
    if busy is None:
        print(f"machine: {cores} cores, load {os.getloadavg()[0]:.1f} at the end")
        return
    others = max(0.0, ((_busy_s() or 0.0) - busy) - (_cpu_s() - ours)) / seconds
    print(
        f"machine: {cores} cores, of which other programs took {others:.1f}; "
        f"load {os.getloadavg()[0]:.1f} at the end"
    )


def peak_memory_mb() -> float:
    """Returns the peak resident memory (MB) of this process, read from Linux.

    getrusage would include the parent's memory.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def forget_peak_memory() -> None:
    """Resets the peak to the current resident memory: imports may have needed more for a while."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")


def _cpu_s() -> float:
    own, ended = (
        resource.getrusage(which) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    seconds = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    return seconds + _running_children_s()


def _running_children_s() -> float:
    """Returns the seconds of running child processes and of their ended children.

    A fork server outlives its child processes. 0 without Linux's /proc.
    """
    seconds = 0.0
    for listing in Path("/proc/self/task").glob("*/children"):
        children = ""
        with suppress(OSError):  # the thread ended meanwhile
            children = listing.read_text()
        for child in children.split():
            with suppress(OSError):  # it ended meanwhile
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
                seconds += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return seconds


def _busy_s() -> float | None:
    """Returns the seconds that all cores have worked since the start, from Linux's /proc."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _, _, irq, soft = (int(it) for it in fields[:7])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")
