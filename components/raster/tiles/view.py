"""Views of scenes: selected bands, on their own grid or warped onto another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from affine import Affine
from pydantic import Field, field_validator

from components.raster.frozen import Frozen
from components.raster.image import Values
from components.raster.library_errors import translated
from components.raster.payload import SAMPLE_TYPES
from components.raster.reasons import Reason
from components.raster.scaling import UNSCALED, Pixels, Scaling, scaled
from components.raster.scene.grid import (
    CrsError,
    Grid,
    crs_name,
    crs_of,
    crs_text,
    differences,
    same_place,
)
from components.raster.scene.orientation import UPRIGHT, Orientation
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import Band, MaskBand, RasterFile, Scene

ResamplingName = Literal[
    "nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode", "max", "min"
]
ValidWhen = Literal["all", "any"]

#: Windows of a warped view are computed in blocks of this many rows and columns.
WARPED_BLOCK_PX = 512
#: The dtype in which models compute, which is always allowed for tiles.
COUNTING_DTYPE = "float32"
#: The dtype of tiles whose numbers were scaled.
SCALED_DTYPE = "float32"


class Warp(Frozen):
    """Grid to which scenes are warped. Settings that are not given stay as in the scene."""

    crs: str | None = Field(
        default=None, description="CRS, such as EPSG:32632; anything that PROJ reads"
    )
    gsd_m: float | None = Field(
        default=None,
        gt=0,
        description="ground sample distance in metres; the target CRS must be metric",
    )
    resampling: ResamplingName = "bilinear"
    like_band: str | int | None = Field(
        default=None,
        description="Warp all bands to the grid of this one, for scenes whose bands differ in "
        "pixel size. With crs or gsd_m it only chooses the band whose grid is the "
        "starting point.",
    )

    @field_validator("crs")
    @classmethod
    def _is_known(cls, crs: str | None) -> str | None:
        try:
            return crs if crs is None or crs_of(crs) else None
        except CrsError as error:
            raise ValueError(str(error)) from error


@dataclass(frozen=True)
class View:
    """Bands of a scene on one grid: the basis of the tile plan and of the reader.

    Attributes:
        resampling: method by which pixels are warped onto the grid; None if they are the files'
        own.
        dtype: of the tiles; every band's values fit in it unchanged, unless they are scaled.
        valid_when: whether `all` bands or `any` band must be measured for a pixel to be valid.
        stored_dtype: of the files' numbers, if tiles hold them scaled or rounded; None if they are
            unchanged.
    """

    scene: Scene
    bands: tuple[Band, ...]
    grid: Grid
    dtype: str
    resampling: ResamplingName | None = None
    valid_when: ValidWhen = "all"
    stored_dtype: str | None = None

    @property
    def read_dtype(self) -> str:
        """Dtype of numbers as they are read, in which nodata values are expressed."""
        return self.stored_dtype or self.dtype

    @property
    def scalings(self) -> tuple[Scaling, ...]:
        """Scale and offset of each band's stored numbers."""
        return tuple(band.scaling for band in self.bands)

    def values_of(self, numbers: Pixels) -> Pixels:
        """Converts (H, W, C) numbers as read to the values of tiles."""
        if self.stored_dtype is None:
            return numbers
        return scaled(numbers, self.scalings, self.dtype)

    @property
    def files(self) -> tuple[RasterFile, ...]:
        """Files that hold the bands, each once."""
        return tuple(dict.fromkeys(band.file for band in self.bands))

    @property
    def own_file(self) -> RasterFile | None:
        """The file whose pixels the grid has; None if a warp made another grid."""
        files = (band.file for band in (*self.bands, *self.scene.bands))
        return next((file for file in files if file.grid == self.grid), None)

    @property
    def block_shape(self) -> tuple[int, int]:
        """(rows, columns) of an efficient read."""
        if self.resampling is not None:
            return WARPED_BLOCK_PX, WARPED_BLOCK_PX
        return self._largest_blocks.block_shape

    @property
    def block_shift(self) -> tuple[int, int]:
        """(rows, columns) of the first blocks that lie before the grid's first row and column."""
        return (0, 0) if self.resampling is not None else self._largest_blocks.block_shift

    @property
    def _largest_blocks(self) -> RasterFile:
        return max(self.files, key=lambda file: file.block_shape)

    @property
    def pixel_bytes(self) -> int:
        """Memory of one pixel with all bands and its mask."""
        return len(self.bands) * np.dtype(self.dtype).itemsize + 1


def view_scene(
    scene: Scene,
    wanted: tuple[str | int, ...] = (),
    *,
    warp: Warp | None = None,
    dtype: str | None = None,
    valid_when: ValidWhen = "all",
    values: Values | None = None,
) -> View:
    """Builds a view of chosen bands on a chosen grid.

    Args:
        scene: whose files are read.
        wanted: bands by name, common name or position from 1, in this order; empty means all.
        warp: the grid to warp to; None, or the scene's own, leaves pixels untouched.
        dtype: a wider one for the tiles. Bands of differing dtypes need it. float32, in which
            models compute, takes values of any dtype and rounds them.
        valid_when: see `View`.
        values: `scaled` applies each band's scale and offset, after any warp.

    Raises:
        SceneRejected: a band is missing, the bands do not share a grid or a dtype, the dtype
            would not keep every value, the grid cannot be reached, or no scale is known.

    >>> from components.raster.scene.probe import open_scene
    >>> from components.raster.scene.scene import BandFile, SceneSource
    >>> scene = open_scene(SceneSource("north", (BandFile(scene_file),)))
    >>> view = view_scene(scene, ("nir08",), dtype="float32")
    >>> view.grid.height_px, view.grid.width_px, view.grid.gsd_m
    (96, 64, 10.0)
    """
    bands = scene.select(wanted)
    source, target, needs_warp = _grids(scene, bands, warp)
    if needs_warp:
        assert warp is not None
        _check_masks(scene.scene_id, bands)
    of_tiles, stored = _dtypes(scene.scene_id, bands, dtype, values)
    return View(
        scene=scene,
        bands=bands,
        grid=target if needs_warp else source,
        dtype=of_tiles,
        resampling=warp.resampling if warp is not None and needs_warp else None,
        valid_when=valid_when,
        stored_dtype=stored,
    )


def check_samples(view: View) -> None:
    """Rejects a view whose tiles a payload cannot hold.

    Raises:
        SceneRejected: its dtype is not one of `SAMPLE_TYPES`.
    """
    if view.dtype not in SAMPLE_TYPES:
        raise SceneRejected(
            view.scene.scene_id,
            Reason.UNSUPPORTED_DTYPE,
            f"its samples are of type {view.dtype}; convert them to one of "
            f"{', '.join(SAMPLE_TYPES)}. Set dtype: {COUNTING_DTYPE}, in which models compute.",
        )


def scaling_to_read(values: Values | None, given: Scaling | None) -> Scaling | None:
    """Returns the scaling for `open_scene`; with `stored`, the scaling of files is not needed."""
    return UNSCALED if values == "stored" else given


def view_on(
    scene: Scene, grid: Grid, band: str | int = 1, *, orientation: Orientation | None = UPRIGHT
) -> View:
    """Views a band of a class scene on another scene's grid, by the nearest class of each pixel.

    A scene without a CRS is assumed to match the other's file pixel by pixel if it has the same
    size, and its coordinates are those of its pixels or of that file.

    Args:
        scene: of classes.
        grid: of the other scene.
        band: by name or position.
        orientation: of the other scene's file, which a scene without a CRS shares. None if the grid
            is not that of a file.

    Raises:
        SceneRejected: it has no CRS and another size or place, or no such band.
    """
    bands = scene.select((band,))
    own = bands[0].file.grid
    if own.crs is None and orientation is not None:
        if (own.height_px, own.width_px) == orientation.shape(grid.height_px, grid.width_px):
            _refuse_elsewhere(scene.scene_id, own, grid, orientation)
            return View(scene, _stored_as(bands, grid, orientation), grid, bands[0].file.dtype)
    elif not differences([own, grid]):
        return View(scene, bands, grid, bands[0].file.dtype)
    if own.crs is None or grid.crs is None:
        raise SceneRejected(
            scene.scene_id,
            Reason.NO_CRS,
            f"its {own.height_px} x {own.width_px} pixels have no place on a map, and the scene "
            f"has {grid.height_px} x {grid.width_px}, so they cannot be laid on each other.",
        )
    return View(scene, bands, grid, bands[0].file.dtype, resampling="nearest")


def _stored_as(bands: Sequence[Band], grid: Grid, orientation: Orientation) -> tuple[Band, ...]:
    """Returns bands of files without a CRS, aligned with a grid pixel by pixel."""

    def placed(file: RasterFile) -> RasterFile:
        blocks = orientation.shape(*file.block_shape)
        return replace(file, grid=grid, orientation=orientation, block_shape=blocks)

    return tuple(replace(band, file=placed(band.file)) for band in bands)


def _refuse_elsewhere(scene_id: str, own: Grid, grid: Grid, orientation: Orientation) -> None:
    """Raises SceneRejected if a grid without a CRS has coordinates other than the file's."""
    a, b, c, d, e, f = own.transform[:6]
    counts_pixels = (a, b, c, d, abs(e)) == (1, 0, 0, 0, 1) and f in (0, own.height_px)
    to_stored = orientation.to_stored(grid.height_px, grid.width_px)
    stored = replace(own, transform=grid.transform * ~to_stored)
    if not (counts_pixels or grid.crs is None or same_place(own, stored)):
        raise SceneRejected(
            scene_id,
            Reason.NO_CRS,
            "it has the scene's size, but no coordinate reference system on the earth and other "
            "coordinates than the scene, so they cannot be laid on each other.",
        )


def target_grid(scene_id: str, source: Grid, warp: Warp) -> Grid:
    """Computes the target grid of a warp: north up, its origin on whole multiples of the GSD.

    So scenes that are warped to the same CRS and GSD share one lattice of pixels. The extent is the
    smallest such rectangle that contains the scene.

    Raises:
        SceneRejected: there is no such grid.
    """
    if source.crs is None:
        raise SceneRejected(
            scene_id, Reason.NO_CRS, "without a coordinate reference system it has no warp."
        )
    crs = crs_text(crs_of(warp.crs)) if warp.crs else source.crs
    assert crs is not None
    step, edges = _warped_extent(scene_id, source, crs)
    step = warp.gsd_m or step
    if not all(math.isfinite(edge) for edge in (step, *edges)):
        raise SceneRejected(
            scene_id, Reason.CANNOT_WARP, f"parts of it have no place in {crs_name(crs)}."
        )
    left, top = math.floor(edges[0] / step), math.ceil(edges[3] / step)
    right, bottom = math.ceil(edges[2] / step), math.floor(edges[1] / step)
    grid = Grid(top - bottom, right - left, Affine(step, 0, left * step, 0, -step, top * step), crs)
    if warp.gsd_m is not None and not grid.is_metric:
        raise SceneRejected(
            scene_id,
            Reason.NOT_METRIC,
            f"gsd_m is in metres and {crs_name(crs)} is not. Choose a projected crs, such as a "
            "UTM zone.",
        )
    return grid


def _warped_extent(
    scene_id: str, source: Grid, crs: str
) -> tuple[float, tuple[float, float, float, float]]:
    """Returns the pixel size that keeps a scene's detail in another CRS, and its edges there."""
    from rasterio.warp import calculate_default_transform, transform_bounds

    def reject(why: str) -> SceneRejected:
        return SceneRejected(scene_id, Reason.CANNOT_WARP, f"to {crs_name(crs)}: {why}.")

    assert source.crs is not None
    extent = source.bounds(0, 0, source.height_px, source.width_px)
    with translated(reject):
        before, after = crs_of(source.crs), crs_of(crs)
        default, _, _ = calculate_default_transform(
            before, after, source.width_px, source.height_px, *extent
        )
        return float(default.a), transform_bounds(before, after, *extent, densify_pts=101)


def _grids(scene: Scene, bands: Sequence[Band], warp: Warp | None) -> tuple[Grid, Grid, bool]:
    """Returns (the bands' grid, the requested one, whether they differ)."""
    grids = [band.file.grid for band in bands]
    differ = differences(grids)
    if warp is None or (warp.like_band is None and differ):
        if differ:
            raise SceneRejected(
                scene.scene_id,
                Reason.BANDS_DIFFER_IN_GRID,
                f"its bands differ in {' and '.join(differ)}. Choose bands of one size, or set "
                "warp.like_band to the one whose grid the others are warped onto.",
            )
        return grids[0], grids[0], False
    source = grids[0]
    if warp.like_band is not None:
        source = scene.select((warp.like_band,))[0].file.grid
        differ = differ or differences([source, grids[0]])
    if _is_already(source, warp):
        return source, source, bool(differ)
    return source, target_grid(scene.scene_id, source, warp), True


def _is_already(grid: Grid, warp: Warp) -> bool:
    """Checks whether a grid already satisfies a warp, so that its pixels can stay as they are."""
    if warp.crs is not None and (grid.crs is None or crs_of(warp.crs) != crs_of(grid.crs)):
        return False
    if warp.gsd_m is None:
        return warp.crs is None or not grid.is_rotated
    steps = (grid.transform.a, -grid.transform.e)
    close = all(math.isclose(step, warp.gsd_m, rel_tol=1e-9) for step in steps)
    return grid.is_metric and not grid.is_rotated and close


def _check_masks(scene_id: str, bands: Sequence[Band]) -> None:
    for band in bands:
        twice = band.nodata is not None and band.file.mask_band is MaskBand.DATASET
        if twice or band.file.mask_band is MaskBand.BAND:
            raise SceneRejected(
                scene_id,
                Reason.CANNOT_WARP,
                f"{band.file.path} has a mask for each band, or a mask and a nodata value, and "
                "GDAL warps with one of them only. Write it again with one mask.",
            )


def _dtypes(
    scene_id: str, bands: Sequence[Band], wanted: str | None, values: Values | None
) -> tuple[str, str | None]:
    """Returns (the tiles' dtype, the files' dtype if numbers are scaled or rounded)."""
    if values != "scaled":
        return _unscaled(scene_id, bands, wanted)
    found = {band.file.dtype for band in bands}
    if all(band.scaling == UNSCALED for band in bands):
        if all(np.dtype(name).kind != "f" for name in found):
            raise SceneRejected(
                scene_id,
                Reason.NO_SCALE,
                f"its numbers are {', '.join(sorted(found))} and nothing states their scale or "
                "offset. Set scale (and offset) yourself, or values: stored.",
            )
        return _unscaled(scene_id, bands, wanted)
    if wanted is not None and np.dtype(wanted).kind != "f":
        raise SceneRejected(
            scene_id,
            Reason.LOSSY_DTYPE,
            f"{wanted} cannot hold scaled values. Set float32, or leave the dtype out.",
        )
    return wanted or SCALED_DTYPE, str(np.result_type(*found))


def _unscaled(scene_id: str, bands: Sequence[Band], wanted: str | None) -> tuple[str, str | None]:
    """Returns (the tiles' dtype, the files' dtype if numbers are rounded)."""
    found = sorted({band.file.dtype for band in bands})
    if wanted is None and len(found) > 1:
        raise SceneRejected(
            scene_id,
            Reason.BANDS_DIFFER_IN_DTYPE,
            f"its bands are {', '.join(found)}. Set a dtype that holds them all: "
            f"{_holding(*found)}.",
        )
    dtype = wanted or found[0]
    lossy = [name for name in found if not np.can_cast(name, dtype, "safe")]
    if not lossy:
        return dtype, None
    if dtype == COUNTING_DTYPE:  # the model would round them too
        return dtype, str(np.result_type(*found))
    raise SceneRejected(
        scene_id,
        Reason.LOSSY_DTYPE,
        f"{dtype} cannot hold every value of {', '.join(lossy)}. Set {_holding(dtype, *lossy)}.",
    )


def _holding(*dtypes: str) -> str:
    """Returns a payload dtype for values of several others: exact if possible, else float32."""
    exact = str(np.result_type(*dtypes))
    return exact if exact in SAMPLE_TYPES else COUNTING_DTYPE
