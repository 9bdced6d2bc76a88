"""Class maps: blended probabilities to rasters of classes and of confidence."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from components.mapping.class_table import ClassTable, counts_of
from components.mapping.config import MapConfig
from components.mapping.layout import Columns, Layout
from components.mapping.models import TileAnswers
from components.mapping.mosaic import Floats, Mosaic, State
from components.mapping.picture import UNKNOWN_RGB
from components.mapping.polygons import class_polygons
from components.mapping.product import COG, Masked, Output
from components.mapping.rasters import GrowingRaster, RasterSpec, spec_of_steps
from components.mapping.settled import PROBABILITY_NODATA, PROBABILITY_STEP, Settled
from components.mapping.unknown import (
    MASKED_ENTRY,
    MASKED_RGB,
    masked_in,
    masked_where,
    percentile_output,
    percentile_spec,
    percentiles_of,
)
from components.mapping.vectors import write_vectors
from components.mapping.weights import TileAxis
from components.raster.labels.targets import ignore_value, mask_dtype
from components.raster.opencv import opencv
from components.raster.pictures.colours import class_colours
from components.raster.pictures.sheet import Entry, legend_of
from components.raster.pictures.stretch import Picture
from components.raster.scene.gdal import opened
from components.raster.scene.grid import Grid
from components.raster.tiles.key import TileKey, Window
from components.raster.tiles.tile import Tile
from components.raster.tiles.valid_mask import Mask, combine
from serving.contract.contract import Contract
from serving.tasks.segmentation.planes import CLASS_PROBABILITIES_OUTPUT

_CARRY = "carry.npz"
_MOST_COLOURS = 255


class ClassMap:
    """The `Product` of a segmentation model."""

    blends = True

    def __init__(
        self, layout: Layout, grid: Grid, contract: Contract, config: MapConfig, folder: Path
    ) -> None:
        """Prepares the map.

        Args:
            layout: of the scene's tiles.
            grid: of the scene.
            contract: of the model.
            config: of the map.
            folder: for unfinished files.
        """
        plan, self._layout, classes = layout.plan, layout, contract.classes
        self._classes = classes
        self._down = TileAxis(plan.rows, plan.size_px, config.blend)
        self._across = TileAxis(plan.cols, plan.size_px, config.blend)

        def raster(spec: RasterSpec) -> GrowingRaster:
            return GrowingRaster(spec, folder, config.compression)

        self.class_raster = raster(class_spec(grid, classes))
        self.confidence = raster(confidence_spec(grid))
        self.probabilities = raster(probability_spec(grid, classes))
        self.percentiles = raster(percentile_spec(grid))
        self._config, self._with_probabilities = config, config.probabilities
        self._masks = config.masks_unknown
        self._carry: State | None = None
        #: Pixels of each class that are written.
        self._counts = np.zeros(len(classes), np.int64)
        #: Pixels that are masked, and all that have an answer.
        self._masked = np.zeros(2, np.int64)

    def create(self) -> None:
        """Begins an empty map."""
        for raster in self._rasters:
            raster.create()

    def begin(self, columns: Columns, band: int) -> None:
        """Begins some columns of the layout, or continues them at a band."""
        layout = self._layout
        self._columns, self._unfinished = columns, 0
        left, right, top = columns.left, columns.right, layout.bands[band].top
        self._settled = Settled(
            len(self._classes),
            layout.band_rows,
            left,
            right,
            top,
            self._config,
        )
        planes = len(self._classes) + self._masks
        self._mosaic = Mosaic(planes, left, right, self._down, self._across, self._settled.put)
        if self._carry is not None and band:
            self._settled.restore(self._carry)
            self._mosaic.restore(self._carry)
        self._carry = None

    def add(self, tiles: Sequence[Tile], answer: TileAnswers) -> None:
        """Adds the class probabilities of tiles, and their percentiles of unknown imagery."""
        percentiles = percentiles_of(answer) if self._masks else None
        for number, found in enumerate(answer[CLASS_PROBABILITIES_OUTPUT]):
            tile = tiles[number]
            window = tile.key.window
            planes = _resized(found.astype(np.float32, copy=False), window)
            if percentiles is not None:
                own = np.full((1, *planes.shape[1:]), percentiles[number])
                planes = np.concatenate([planes, own])
            self._mosaic.add(window, planes, _known(tile))

    def lose(self, key: TileKey) -> None:
        """Records a tile that cannot be read."""
        self._mosaic.lose(key.window)

    def finish(self, band: int) -> None:
        """Writes the pixels that no later tile changes."""
        end, columns, plan = self._layout.bands[band].end, self._columns, self._layout.plan
        last = plan.rows[self._layout.bands[band].tiles[-1]] + plan.size_px
        top = self._settled.top
        rows, kept = end - top, max(min(last, plan.height_px) - end, 0)
        self._mosaic.finish()
        window = Window(top, columns.left, rows, columns.right - columns.left)
        self.class_raster.write(window, self._settled.classes[:rows])
        self._counts += counts_of(self._settled.classes[:rows], len(self._classes))
        self.confidence.write(window, self._settled.confidence[:rows])
        if self._with_probabilities:
            self.probabilities.write(window, self._settled.probabilities[:, :rows])
        if self._masks:
            percentiles = self._settled.percentiles[:rows]
            self.percentiles.write(window, percentiles)
            self._masked += masked_in("pixels", [percentiles], self._config)[1:]
        self._settled.move(rows, kept)
        self._unfinished = kept

    def save(self, folder: Path) -> None:
        """Writes unfinished parts."""
        for raster in self._rasters:
            raster.save(folder)
        state: State = {**self._mosaic.state(), **self._settled.state(self._unfinished)}
        state |= {"counts": self._counts, "masked": self._masked}
        np.savez(folder / _CARRY, allow_pickle=False, **state)

    def load(self, folder: Path) -> None:
        """Restores unfinished parts."""
        with np.load(folder / _CARRY) as found:
            self._carry = dict(found)
        self._counts, self._masked = self._carry.pop("counts"), self._carry.pop("masked")
        for raster in self._rasters:
            raster.load(folder)

    def outputs(self, folder: Path) -> list[Output]:
        """Writes the rasters."""
        paths = {raster.spec.name: raster.to_cog(folder) for raster in self._rasters}
        counts = self._counts.tolist()
        table = ClassTable(self._classes, class_colours(len(self._classes)), counts)
        classes = paths[self.class_raster.spec.name]
        found = [
            Output("classes", classes, COG, "Classes", table.stac_fields()),
            table.write(classes),
        ]
        for raster, title in (
            (self.confidence, "Probability of the class"),
            (self.probabilities, "Probability of every class"),
        ):
            name = raster.spec.name
            if name in paths:
                found.append(Output(name, paths[name], COG, title))
        if self._masks:
            found.append(percentile_output(paths[self.percentiles.spec.name], self._config))
        if self._config.vectors:
            grid, polygons = self.class_raster.spec.grid, self._config.polygons
            areas = class_polygons(classes, grid, self._classes, polygons)
            found += write_vectors(areas, self._config.vectors, folder)
        return found

    def masked(self) -> Masked:
        """Counts pixels."""
        return Masked("pixels", *self._masked.tolist())

    def picture(self, folder: Path, scene: Picture) -> Picture:
        """Draws the finished class raster, from an overview."""
        shape = scene.shape[0], scene.shape[1]
        colours = np.array([*class_colours(len(self._classes)), UNKNOWN_RGB], np.uint8)
        classes = _smaller(folder / "classes.tif", shape)
        picture = np.take(colours, np.minimum(classes, len(self._classes)), axis=0)
        if self._masks:
            # Overviews of percentiles have means: a pixel with a class may count as masked.
            masked = masked_where(_smaller(folder / "unknown.tif", shape), self._config)
            picture[masked & (classes >= len(self._classes))] = MASKED_RGB
        return picture

    @property
    def legend(self) -> list[Entry]:
        """Names and colours."""
        return [*legend_of(self._classes), *([MASKED_ENTRY] if self._masks else [])]

    @property
    def _rasters(self) -> list[GrowingRaster]:
        more = [self.probabilities] if self._with_probabilities else []
        more += [self.percentiles] if self._masks else []
        return [self.class_raster, self.confidence, *more]


def _smaller(path: Path, shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Reads a finished raster of one band in a given shape, from an overview."""
    with opened(str(path)) as dataset:
        smaller = [it for it in dataset.overviews(1) if it * shape[0] <= dataset.height]
        step = max(smaller, default=1)
        # A whole overview: GDAL takes a hundred times as long to resample to another size.
        whole = (-(-dataset.height // step), -(-dataset.width // step))
        pixels = dataset.read(1, out_shape=whole)
    rows, cols = (
        (np.arange(count) * have) // count for count, have in zip(shape, pixels.shape, strict=True)
    )
    found: npt.NDArray[Any] = pixels[np.ix_(rows, cols)]
    return found


def class_spec(grid: Grid, classes: tuple[str, ...]) -> RasterSpec:
    """Describes the class raster: indices with a palette, and the names as tags."""
    return RasterSpec(
        name="classes",
        grid=grid,
        dtype=np.dtype(mask_dtype(len(classes))).name,
        nodata=ignore_value(len(classes)),
        bands=("class",),
        colours=class_colours(len(classes)) if len(classes) <= _MOST_COLOURS else (),
        tags={"CLASSES": "\t".join(classes)},
    )


def confidence_spec(grid: Grid) -> RasterSpec:
    """Describes the raster of each pixel's highest probability."""
    bands = ("probability of the class",)
    return spec_of_steps("confidence", grid, bands, PROBABILITY_STEP, PROBABILITY_NODATA)


def probability_spec(grid: Grid, classes: tuple[str, ...]) -> RasterSpec:
    """Describes the raster of probabilities, with a band for each class."""
    return spec_of_steps("probabilities", grid, classes, PROBABILITY_STEP, PROBABILITY_NODATA)


def _known(tile: Tile) -> Mask | None:
    """Marks a tile's pixels that count as data for a model: every band is finite. None: all."""
    valid = None if tile.is_valid_everywhere else tile.valid
    if tile.pixels.dtype.kind != "f":
        return valid
    finite = np.isfinite(tile.pixels)
    if finite.all():
        return valid
    return tile.valid & combine(np.moveaxis(finite, -1, 0), "all")


def _resized(planes: Floats, window: Window) -> Floats:
    """Resamples planes (K, H, W) from the model's shape to a tile's, bilinearly."""
    if planes.shape[1:] == (window.height, window.width):
        return planes
    found = np.empty((len(planes), window.height, window.width), np.float32)
    cv, size = opencv(), (window.width, window.height)
    for plane, resized in zip(planes, found, strict=True):
        cv.resize(plane, size, resized, interpolation=cv.INTER_LINEAR)
    return found
