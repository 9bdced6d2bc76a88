"""Check that a source's rasters agree in scale and offset, so that a number means one value."""

from collections import Counter
from collections.abc import Iterable

from components.raster.band_scalings import BandScalings
from components.raster.errors import DataError
from components.raster.image import ImageSpec
from components.raster.scaling import UNSCALED, Scaling
from components.raster.tiles.view import View

_Of = tuple[Scaling, ...]


def agreed_scalings(views: Iterable[View], image: ImageSpec) -> BandScalings | None:
    """Returns `Scalings.agreed` of rasters that are all available."""
    scalings = Scalings(image)
    for view in views:
        scalings.add(view)
    return scalings.agreed()


class Scalings:
    """Scale and offset of the bands that a model sees, gathered raster by raster.

    Args:
        image: names the bands, and sets whether scale and offset are applied.
    """

    def __init__(self, image: ImageSpec) -> None:
        self._image = image
        self._rasters: Counter[_Of] = Counter()
        self._first: dict[_Of, str] = {}

    def add(self, view: View) -> None:
        """Adds a raster that training will use."""
        scalings = tuple(scaling.rounded for scaling in view.scalings)
        self._rasters[scalings] += 1
        self._first.setdefault(scalings, view.scene.scene_id)

    def agreed(self) -> BandScalings | None:
        """Returns the common scalings; None if the configuration decides.

        Raises:
            DataError: rasters differ, and the configuration does not decide.
        """
        if self._image.values is not None or not self._rasters:
            return None
        if len(self._rasters) > 1:
            raise DataError(self._difference())
        [scalings] = self._rasters
        named = zip(self._image.bands or (), scalings, strict=True)
        return {band: scaling for band, scaling in named if scaling != UNSCALED}

    def _difference(self) -> str:
        (most, _), *others = self._rasters.most_common()
        other, _ = others[0]
        pairs = zip(self._image.bands or (), most, other, strict=True)
        band, one, two = next(found for found in pairs if found[1] != found[2])
        return (
            f"{sum(count for _, count in others)} of {self._rasters.total()} rasters differ from "
            "the others in scale or offset, so the same number means different values. "
            f"Band {band} is {one} in {self._first[most]!r} and {two} in {self._first[other]!r}. "
            "Set image.values: scaled to learn from scaled values, or stored to learn from the "
            "numbers as they are."
        )
