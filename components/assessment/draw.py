"""Plans and draws the sample of a map."""

from dataclasses import dataclass

import numpy as np

from components.assessment.class_map import FinishedMap, extent_of
from components.assessment.design import allocate, units_for
from components.assessment.estimators import Integers
from components.assessment.record import Design, Unit
from components.assessment.sampling import draw
from components.assessment.strata import Strata

_M2_PER_HA = 10_000


@dataclass(frozen=True)
class SamplePlan:
    """Requirements of a sample.

    Attributes:
        size: units in all; None computes it from the other values.
        half_width: wanted half width of the interval of overall accuracy.
        expected: expected overall accuracy; used only to compute the size.
        minimum: units of each stratum at least.
        confidence: of the interval.
        seed: of the draw.
    """

    size: int | None = None
    half_width: float = 0.03
    expected: float = 0.85
    minimum: int = 50
    confidence: float = 0.95
    seed: int = 0


def draw_sample(source: FinishedMap, strata: Strata, plan: SamplePlan) -> Design:
    """Draws a probability sample of a map's pixels.

    Raises:
        DataError: the map cannot be read or has no answer.
    """
    extent = extent_of(source)
    pixels = draw(strata.strips, strata.population, units_of(strata, plan), plan.seed)
    centre_rows = pixels.rows.astype(np.float64) + 0.5
    centre_cols = pixels.cols.astype(np.float64) + 0.5
    xs, ys = source.grid.to_map(centre_rows, centre_cols)
    lons, lats = source.grid.to_lonlat(centre_rows, centre_cols)
    mapped = source.at(xs, ys)
    places = source.grid.crs is not None
    return Design(
        map=str(source.path),
        crs=source.grid.crs,
        classes=source.classes,
        pixels=tuple(extent.pixels.tolist()),
        area_ha=None if extent.area_m2 is None else tuple((extent.area_m2 / _M2_PER_HA).tolist()),
        strata=strata.names,
        population=tuple(strata.population.tolist()),
        seed=plan.seed,
        units=tuple(
            Unit(
                id=index + 1,
                row=int(pixels.rows[index]),
                column=int(pixels.cols[index]),
                x=float(xs[index]),
                y=float(ys[index]),
                longitude=round(float(lons[index]), 8) if places else None,
                latitude=round(float(lats[index]), 8) if places else None,
                stratum=int(pixels.stratum[index]),
                mapped=int(mapped[index]),
            )
            for index in range(len(pixels.rows))
        ),
    )


def units_of(strata: Strata, plan: SamplePlan) -> Integers:
    """Returns the number of units of each stratum."""
    minimum = max(plan.minimum, 2)
    if plan.size is not None:
        return allocate(plan.size, strata.population, minimum)
    expected = np.full(len(strata.population), plan.expected)
    return units_for(strata.population, expected, plan.half_width, minimum, plan.confidence)
