"""Temperature scaling: one number by which a trained model's logits are divided.

Guo et al., 2017, "On Calibration of Modern Neural Networks", arXiv 1706.04599. The temperature with
the least log loss on the eval split is served only if a bootstrap over the examples, or over the
groups that they were drawn by, shows that the loss falls. It is fitted and judged on the same
examples; a single number gains little from that compared with the deviation, so that a model
which is calibrated already is changed in about one of a thousand trainings. Where the loss has no
minimum within the search, such as on a split without errors, no temperature is served: the loss
would fall until every answer is certain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data.groups import units_of

Floats = npt.NDArray[np.floating]

TEMPERATURE_FILE = "temperature.json"

_COLDEST, _HOTTEST, _STEPS = 0.05, 20.0, 60
_REPLICATES = 200
#: With fewer groups, or examples drawn alone, the bootstrap is meaningless.
_FEWEST_UNITS = 10


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature and the decision about it.

    Attributes:
        temperature: the temperature with the least log loss on the eval split.
        before, after: log loss at a temperature of 1, and at this one.
        interval: 95 % interval of the change in log loss; None with too few units.
        units: groups, and examples that were drawn alone.
        served: whether the served model divides by it: the whole interval is below 0, and the loss
            is higher at both ends of the search.
    """

    temperature: float
    before: float
    after: float
    interval: tuple[float, float] | None
    units: int
    served: bool


def fit_temperature(losses: Callable[[float], Floats], groups: Sequence[str | None]) -> Temperature:
    """Fits a temperature.

    Args:
        losses: log loss of each example [N] at a temperature; its mean has one minimum.
        groups: group of each example; None for one that was drawn alone.
    """
    temperature = _least(lambda value: float(losses(value).mean()))
    before, after = losses(1.0), losses(temperature)
    units = units_of(groups)
    ends = min(float(losses(end).mean()) for end in (_COLDEST, _HOTTEST))
    interval = _interval(after - before, units)
    return Temperature(
        temperature,
        float(before.mean()),
        float(after.mean()),
        interval,
        int(units.max()) + 1,
        interval is not None and interval[1] < 0 and float(after.mean()) < ends,
    )


def _least(loss: Callable[[float], float]) -> float:
    """Returns the temperature of the least loss, by golden section over its logarithm."""
    low, high = np.log(_COLDEST), np.log(_HOTTEST)
    share = (np.sqrt(5) - 1) / 2
    inner = [high - share * (high - low), low + share * (high - low)]
    values = [loss(float(np.exp(at))) for at in inner]
    for _ in range(_STEPS):
        if values[0] < values[1]:
            high, inner[1], values[1] = inner[1], inner[0], values[0]
            inner[0] = high - share * (high - low)
            values[0] = loss(float(np.exp(inner[0])))
        else:
            low, inner[0], values[0] = inner[0], inner[1], values[1]
            inner[1] = low + share * (high - low)
            values[1] = loss(float(np.exp(inner[1])))
    return float(np.exp((low + high) / 2))


def _interval(change: Floats, units: npt.NDArray[np.int64]) -> tuple[float, float] | None:
    """Returns the middle 95 % of the mean over replicates that draw whole units."""
    sums, counts = np.bincount(units, change), np.bincount(units)
    if len(counts) < _FEWEST_UNITS:
        return None
    random = np.random.default_rng(0)
    means = []
    for _ in range(_REPLICATES):
        weights = random.poisson(1.0, len(counts))
        means.append(weights @ sums / max(float(weights @ counts), 1.0))
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)
