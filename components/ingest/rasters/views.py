"""Views of named rasters, the same in the listing and in every worker."""

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from rasterio.errors import NotGeoreferencedWarning

from components.ingest.rasters.config import RasterOptions
from components.ingest.records.reject import Reject
from components.raster.image import ImageSpec
from components.raster.library_errors import translated
from components.raster.reasons import Reason
from components.raster.scene.probe import open_scene
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import ONLY_BAND, SceneSource
from components.raster.tiles.tile import Tile
from components.raster.tiles.view import View, Warp, check_samples, scaling_to_read, view_scene

_HEADER_READERS = 8

#: Function that opens the headers of a scene.
OpenView = Callable[[SceneSource], View]


def open_view(
    source: SceneSource, options: RasterOptions, image: ImageSpec, warp: Warp | None = None
) -> View:
    """Opens the model's bands of a scene on the wanted grid; reads only headers.

    Args:
        source: files of the scene, with the scale and offset of metadata beside them.
        options: of reading.
        image: names the bands.
        warp: to a grid other than the scene's own.

    Raises:
        SceneRejected: the scene cannot be used.
    """
    wanted = image.bands or ()

    def unreadable(why: str) -> SceneRejected:
        return SceneRejected(source.scene_id, Reason.UNREADABLE, why)

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
            warp=warp,
            dtype=options.dtype,
            valid_when=options.valid_when,
            values=image.values,
        )
    check_samples(view)
    return view


def open_views(
    sources: Sequence[SceneSource], open_one: OpenView, image: ImageSpec
) -> Sequence[View | SceneRejected]:
    """Returns each source's view or rejection, in order; opens several at a time.

    Args:
        sources: files of each scene.
        open_one: returns the view of one; it raises SceneRejected.
        image: names the bands.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(_HEADER_READERS) as pool:
        # Separate warning filters in the threads would conflict.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        views = list(pool.map(partial(_outcome, open_one), sources))
    names = {view.bands[0].name for view in views if isinstance(view, View)}
    if image.bands == (ONLY_BAND,) and ONLY_BAND in names:
        return [_named_only(view) for view in views]
    return views


def _named_only(view: View | SceneRejected) -> View | SceneRejected:
    """Rejects a view whose band is B1 only for lack of a name: other scenes have a B1."""
    if isinstance(view, SceneRejected) or view.bands[0].name == ONLY_BAND:
        return view
    return SceneRejected(
        view.scene.scene_id,
        Reason.UNKNOWN_BAND,
        f"nothing says that its band is the {ONLY_BAND} of the other scenes. Name it with "
        "band_names, or describe it in the file.",
    )


def scene_reject(rejected: SceneRejected, uri: str) -> Reject:
    """Converts a scene's refusal to a reject."""
    return Reject(rejected.scene_id, uri, rejected.reason, rejected.detail)


def too_little_valid(key: str, uri: str, tile: Tile) -> Reject:
    """Returns the reject of a tile with few valid pixels."""
    detail = f"{tile.valid_fraction:.1%} of its pixels are valid"
    return Reject(key, uri, Reason.TOO_LITTLE_VALID, detail)


def _outcome(open_one: OpenView, source: SceneSource) -> View | SceneRejected:
    try:
        return open_one(source)
    except SceneRejected as rejected:
        return rejected
