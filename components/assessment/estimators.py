"""Design-based estimates of a map's accuracy and of the area of each class.

The estimators are those of Stehman (2014, doi 10.1080/01431161.2014.930207), which hold for any
strata. If the strata are the classes of the map, they are those that Olofsson et al. (2014,
doi 10.1016/j.rse.2014.02.015) recommend. A unit of the sample is a pixel, drawn without
replacement within its stratum. As in both papers, variances omit the finite population correction,
which is negligible for maps: they are too large if a sample covers much of a stratum.

>>> import numpy as np
>>> sample = LabelledSample(
...     population=np.array([600, 400]),
...     stratum=np.array([0, 0, 0, 0, 1, 1, 1, 1]),
...     mapped=np.array([0, 0, 0, 0, 1, 1, 1, 1]),
...     reference=np.array([0, 0, 0, 1, 1, 1, 1, 1]),
... )
>>> found = estimate(sample, classes=2)
>>> round(found.overall.value, 3)
0.85
>>> [round(share.value, 3) for share in found.shares]
[0.45, 0.55]
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from components.raster.errors import DataError

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LabelledSample:
    """A labelled probability sample of pixels.

    Attributes:
        population: pixels of each stratum, (S,).
        stratum: stratum of each unit, (N,).
        mapped: class that the map gives to each unit, (N,).
        reference: class that its label gives, (N,).
        strata: names of the strata, for messages; by default their numbers.
    """

    population: Integers
    stratum: Integers
    mapped: Integers
    reference: Integers
    strata: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """An estimated quantity and its standard error, in the same unit."""

    value: float
    standard_error: float

    def half_width(self, confidence: float = 0.95) -> float:
        """Returns half the length of the normal confidence interval."""
        return NormalDist().inv_cdf((1 + confidence) / 2) * self.standard_error

    def times(self, factor: float) -> "Estimate":
        """Returns the estimate in another unit."""
        return Estimate(self.value * factor, self.standard_error * factor)


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Estimates of a map's accuracy.

    Attributes:
        overall: share of the map that is right.
        users: of each class, the share of its mapped area that is right; None for a class that
            is not on the map.
        producers: of each class, the share of its true area that is mapped as such; None for a
            class that no label names.
        shares: true share of each class in the map's area.
        confusion: estimated share of the area with mapped class row and true class column, (K, K).
    """

    overall: Estimate
    users: tuple[Estimate | None, ...]
    producers: tuple[Estimate | None, ...]
    shares: tuple[Estimate, ...]
    confusion: Floats


def estimate(sample: LabelledSample, classes: int) -> Accuracy:
    """Estimates the accuracy and area shares of a map with the given number of classes.

    Raises:
        DataError: a stratum has fewer than two units, so that its variance is unknown.
    """
    design = _Design.of(sample)
    right = sample.mapped == sample.reference
    members = range(classes)
    is_mapped = [sample.mapped == index for index in members]
    is_true = [sample.reference == index for index in members]
    return Accuracy(
        overall=design.mean(right),
        users=tuple(design.ratio(right & mapped, mapped) for mapped in is_mapped),
        producers=tuple(design.ratio(right & true, true) for true in is_true),
        shares=tuple(design.mean(true) for true in is_true),
        confusion=np.array(
            [[design.mean(mapped & true).value for true in is_true] for mapped in is_mapped]
        ),
    )


def domain_difference(
    sample: LabelledSample, other: Integers, covered: npt.NDArray[np.bool_]
) -> Estimate | None:
    """Estimates the overall accuracy of the sampled map minus that of another one.

    Args:
        sample: of the first map.
        other: class that the other map gives to each unit, (N,).
        covered: units for which the other map has an answer, (N,); the difference is over the
            area that both maps cover.

    Returns:
        The difference of overall accuracies, positive if the sampled map is better; None if the
        other map covers no unit.
    """
    first = (sample.mapped == sample.reference).astype(np.float64)
    second = (other == sample.reference).astype(np.float64)
    return _Design.of(sample).ratio(np.where(covered, first - second, 0.0), covered)


@dataclass(frozen=True, eq=False)
class _Design:
    """Strata of a sample: their pixels and units, and the stratum of each unit."""

    population: Floats
    units: Floats
    stratum: Integers

    @staticmethod
    def of(sample: LabelledSample) -> "_Design":
        units = np.bincount(sample.stratum, minlength=len(sample.population))
        held = sample.population > 0
        few = np.flatnonzero(held & (units < np.minimum(2, sample.population))).tolist()
        if few:
            names = sample.strata or tuple(map(str, range(len(units))))
            raise DataError(
                f"Strata {', '.join(names[index] for index in few)} have fewer than two labelled "
                "units, so that no variance can be estimated: label more of them, or draw a sample "
                "with fewer strata."
            )
        return _Design(
            sample.population.astype(np.float64), units.astype(np.float64), sample.stratum
        )

    def mean(self, values: npt.ArrayLike) -> Estimate:
        """Estimates the mean of a quantity over all pixels."""
        numbers = np.asarray(values, np.float64)
        total = self.population.sum()
        value = float(self._total(numbers) / total)
        return Estimate(value, float(np.sqrt(self._variance(numbers)) / total))

    def ratio(self, above: npt.ArrayLike, below: npt.ArrayLike) -> Estimate | None:
        """Estimates the ratio of two totals; None if the denominator is zero.

        Its variance is that of the residuals (the ratio is linearised, as in Stehman 2014).
        """
        upper, lower = np.asarray(above, np.float64), np.asarray(below, np.float64)
        total = self._total(lower)
        if not total:
            return None
        value = float(self._total(upper) / total)
        variance = self._variance(upper - value * lower)
        return Estimate(value, float(np.sqrt(variance) / total))

    def _total(self, numbers: Floats) -> float:
        sums = np.bincount(self.stratum, numbers, minlength=len(self.population))
        means = np.divide(sums, self.units, out=np.zeros_like(sums), where=self.units > 0)
        return float((self.population * means).sum())

    def _variance(self, numbers: Floats) -> float:
        """Estimates the variance of an estimated total."""
        count = len(self.population)
        sums = np.bincount(self.stratum, numbers, minlength=count)
        means = np.divide(sums, self.units, out=np.zeros_like(sums), where=self.units > 0)
        squares = np.bincount(self.stratum, (numbers - means[self.stratum]) ** 2, minlength=count)
        several = self.units > 1
        spread = np.divide(squares, self.units - 1, out=np.zeros_like(squares), where=several)
        of_means = np.divide(spread, self.units, out=np.zeros_like(spread), where=several)
        return float((self.population**2 * of_means).sum())
