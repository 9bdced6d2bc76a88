"""Views from raster names, the same in the listing and in every worker."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from rasterio.errors import NotGeoreferencedWarning

from components.ingest.rasters.config import ChipsSource, RasterOptions, TiledSource
from components.ingest.records.reject import Reason, Reject
from components.raster.image import ImageSpec
from components.raster.library_errors import translated
from components.raster.scene.calibration import Calibration, calibrated_scene
from components.raster.scene.probe import open_scene
from components.raster.scene.rejects import SceneRefusal, SceneRejected
from components.raster.scene.scene import ONLY_BAND, BandFile, SceneSource
from components.raster.tiles.tile import Tile
from components.raster.tiles.view import View, check_samples, scaling_to_read, view_scene

_HEADER_READERS = 8


def chip_source(key: str, uri: str, options: RasterOptions) -> SceneSource:
    """Describes a chip as a scene of one file."""
    return SceneSource(key, (BandFile(uri, options.band_names),), options.date_of(key))


def open_view(source: SceneSource, options: RasterOptions, image: ImageSpec) -> View:
    """Opens the model's bands of a scene on the wanted grid; headers only.

    Raises:
        SceneRejected: the scene cannot be used.
    """
    wanted = image.bands or ()

    def unreadable(why: str) -> SceneRejected:
        return SceneRejected(source.scene_id, SceneRefusal.UNREADABLE, why)

    if isinstance(options, ChipsSource):  # scenes come with theirs from the listing
        source = calibrated_scene(source, Calibration())
    with translated(unreadable):
        scene = open_scene(
            source,
            wanted=wanted,
            without_map=options.without_map,
            nodata=options.nodata,
            scaling=scaling_to_read(image.values, options.scaling),
            page=options.page,
        )
        view = view_scene(
            scene,
            wanted,
            warp=options.warp if isinstance(options, TiledSource) else None,
            dtype=options.dtype,
            valid_when=options.valid_when,
            values=image.values,
        )
    check_samples(view)
    return view


def open_views(
    sources: Sequence[SceneSource], options: RasterOptions, image: ImageSpec
) -> Sequence[View | SceneRejected]:
    """Returns each source's view or rejection, in their order; opens several at a time."""
    with warnings.catch_warnings(), ThreadPoolExecutor(_HEADER_READERS) as pool:
        # Each thread's own filter for it would conflict with the others'.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        views = list(pool.map(partial(_outcome, options=options, image=image), sources))
    names = {view.bands[0].name for view in views if isinstance(view, View)}
    if image.bands == (ONLY_BAND,) and ONLY_BAND in names:
        return [_named_only(view) for view in views]
    return views


def _named_only(view: View | SceneRejected) -> View | SceneRejected:
    """Rejects a view whose band is B1 only because it is unnamed: other scenes have a B1."""
    if isinstance(view, SceneRejected) or view.bands[0].name == ONLY_BAND:
        return view
    return SceneRejected(
        view.scene.scene_id,
        SceneRefusal.UNKNOWN_BAND,
        f"nothing says that its band is the {ONLY_BAND} of the other scenes. Name it with "
        "band_names, or describe it in the file.",
    )


def scene_reject(rejected: SceneRejected, uri: str) -> Reject:
    """Converts a scene's refusal to a reject."""
    return Reject(rejected.scene_id, uri, Reason(rejected.reason.value), rejected.detail)


def too_little_valid(key: str, uri: str, tile: Tile) -> Reject:
    """Returns the reject of a tile with few valid pixels."""
    detail = f"{tile.valid_fraction:.1%} of its pixels are valid"
    return Reject(key, uri, Reason.TOO_LITTLE_VALID, detail)


def _outcome(source: SceneSource, options: RasterOptions, image: ImageSpec) -> View | SceneRejected:
    try:
        return open_view(source, options, image)
    except SceneRejected as rejected:
        return rejected
