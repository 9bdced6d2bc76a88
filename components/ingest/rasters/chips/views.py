"""Views of chips, the same in the listing and in every worker."""

from collections.abc import Sequence
from functools import partial

from components.ingest.rasters.config import RasterOptions
from components.ingest.rasters.views import open_view, open_views
from components.raster.image import ImageSpec
from components.raster.scene.calibration import Calibration, calibrated_scene
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.tiles.view import View


def chip_source(key: str, uri: str, options: RasterOptions) -> SceneSource:
    """Describes a chip as a scene of one file."""
    return SceneSource(key, (BandFile(uri, options.band_names),), options.date_of(key))


def open_chip(source: SceneSource, options: RasterOptions, image: ImageSpec) -> View:
    """Opens the headers of a chip, with the scale and offset of the metadata beside it.

    Raises:
        SceneRejected: the chip cannot be used.
    """
    return open_view(calibrated_scene(source, Calibration()), options, image)


def open_chips(
    sources: Sequence[SceneSource], options: RasterOptions, image: ImageSpec
) -> Sequence[View | SceneRejected]:
    """Returns each chip's view or rejection, in order."""
    return open_views(sources, partial(open_chip, options=options, image=image), image)
