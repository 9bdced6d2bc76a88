"""Confidence intervals of metrics that are no proportions: a Poisson bootstrap over examples.

Each example counts in each replicate as often as a Poisson variable of mean 1 says (Chamandy et
al., 2012, "Estimating uncertainty for massive data streams"). The variable's seed is a hash of the
example's content, so the interval depends neither on how the examples were split among workers nor
on the run.
"""

import hashlib
import math

import numpy as np

from components.evaluation.tasks.measures import Floats

REPLICATES = 200
#: With fewer examples the percentiles are not meaningful.
FEWEST_EXAMPLES = 10


def seed_of(serialized: bytes) -> int:
    """Returns a seed from an example's content, small enough to be exact as a float."""
    return int.from_bytes(hashlib.sha256(serialized).digest()[:6], "big")


def weights(seed: int) -> Floats:
    """Returns how often the example of a seed counts in each replicate: [REPLICATES]."""
    return np.random.default_rng(seed).poisson(1.0, REPLICATES).astype(np.float64)


def interval(values: Floats, examples: float) -> tuple[float, float]:
    """Returns the middle 95 % of a metric's replicates; NaN where there are too few examples."""
    known = values[np.isfinite(values)]
    if examples < FEWEST_EXAMPLES or known.size < 0.9 * values.size:
        return math.nan, math.nan
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)


def bounds_of(metric: str) -> tuple[str, str]:
    """Returns the names under which a metric's interval is stored beside it."""
    return f"{metric}_low", f"{metric}_high"
