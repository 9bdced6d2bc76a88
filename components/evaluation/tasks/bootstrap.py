"""Confidence intervals by a Poisson bootstrap over the independent units of a split.

In each replicate, the weight of a unit (an example, or a group of examples that share a split) is
a Poisson variable of mean 1 (Chamandy et al., 2012, "Estimating uncertainty for massive data
streams"). Its seed is a hash of the example's content or of the group's name, so the interval
depends neither on the run nor on how examples were distributed to workers. Two models get the same
weights, so the difference of their replicates is a paired one.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

import numpy as np

from components.evaluation.tasks.measures import Floats

REPLICATES = 200
#: With fewer units the percentiles are not meaningful.
FEWEST_UNITS = 10
#: Metric beside the headline: units of a slice in which examples share groups.
GROUP_COUNT = "group_count"
#: Array beside the headline: its replicates, by which two models are compared.
REPLICATED = "headline_replicates"
#: Array beside the headline: intervals [M, K, 2] of the M metrics of the K classes.
CLASS_INTERVALS = "class_intervals"


def seed_of(serialized: bytes, group: str | None = None) -> int:
    """Returns a seed from an example's content, or a negative one from its group.

    A seed is small enough to be exact as a float.
    """
    if group is None:
        return _hashed(serialized)
    return -1 - _hashed(group.encode("utf-8", "surrogateescape"))


def _hashed(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:6], "big")


@lru_cache(maxsize=1024)
def weights(seed: int) -> Floats:
    """Returns the weight in each replicate of the unit with a seed: [REPLICATES]."""
    drawn = np.random.default_rng(abs(seed)).poisson(1.0, REPLICATES).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


@dataclass
class Units:
    """Independent units of a slice: groups, by their seeds, and examples drawn alone."""

    groups: set[int] = field(default_factory=set)
    alone: int = 0

    @classmethod
    def of(cls, seeds: Sequence[int]) -> "Units":
        """Returns the units of examples with these seeds."""
        groups = {seed for seed in seeds if seed < 0}
        return cls(groups, sum(seed >= 0 for seed in seeds))

    def add(self, seed: int) -> None:
        """Counts an example."""
        if seed < 0:
            self.groups.add(seed)
        else:
            self.alone += 1

    def __iadd__(self, other: Self) -> Self:
        self.groups |= other.groups
        self.alone += other.alone
        return self

    @property
    def count(self) -> int:
        """Number of independent units."""
        return len(self.groups) + self.alone


def interval(values: Floats, units: Units) -> tuple[float, float]:
    """Returns the middle 95 % of a metric's replicates; NaN if there are too few units."""
    known = values[np.isfinite(values)]
    if units.count < FEWEST_UNITS or known.size < 0.9 * values.size:
        return math.nan, math.nan
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)


def bounds_of(metric: str) -> tuple[str, str]:
    """Returns the names under which a metric's interval is stored beside it."""
    return f"{metric}_low", f"{metric}_high"
