"""Map of one scene: tiles to the model, answers to a product, files into place."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from components.mapping.config import MapConfig
from components.mapping.layout import Columns, Layout
from components.mapping.models import TileModel, answers
from components.mapping.product import Product
from components.mapping.progress import (
    MapProgress,
    checkpoint,
    checkpoint_folder,
    identity_of,
    load_progress,
)
from components.mapping.rejects import MapReason, MapReject, MapRejected
from components.mapping.thumbnail import SceneThumbnail
from components.raster.batched import batched
from components.raster.tiles.reading import read_tiles
from components.raster.tiles.tile import Tile, TileReject
from components.raster.tiles.view import View

#: Called with the number of tiles done and of all tiles of the scene.
OnProgress = Callable[[int, int], None]

# The layout's columns bound the memory; the reader must not divide them further.
_ALL_AT_ONCE = 2**62


@dataclass(frozen=True)
class SceneTask:
    """A scene to map.

    Attributes:
        view: its bands on its grid, in the form that the model needs.
        layouts: of its tiles, processed one after the other.
        product: gathers the answers.
        thumbnail: gathers the scene's picture.
        folder: an existing one, for scratch files and progress.
    """

    view: View
    layouts: tuple[Layout, ...]
    product: Product
    thumbnail: SceneThumbnail
    folder: Path


def gather(
    task: SceneTask, model: TileModel, config: MapConfig, on_progress: OnProgress | None = None
) -> tuple[MapReject, ...]:
    """Predicts every tile of a scene, and gathers the answers in the product.

    A killed run continues from its last checkpoint if scene, model and settings are still the same;
    so is the result.

    Returns:
        The tiles that cannot be read.

    Raises:
        MapRejected: no tile has a valid pixel.
        SkymillError: the model fails.
    """
    product, identity = task.product, identity_of(task.view, model, config)
    progress = load_progress(task.folder, identity)
    if progress is None:
        product.create()
        progress = MapProgress()
    else:
        saved_in = checkpoint_folder(task.folder, progress)
        product.load(saved_in)
        task.thumbnail.load(saved_in)
    total, saved = _count(task), time.monotonic()
    while progress.layout < len(task.layouts):
        layout = task.layouts[progress.layout]
        columns = layout.columns[progress.columns]
        product.begin(columns, progress.band)
        for band, found in _bands(task, layout, columns, progress.band):
            measured, lost = _gather_band(task, model, config, found, progress.layout == 0)
            product.finish(band)
            done = progress.done + len(layout.bands[band].tiles) * len(
                _tile_columns(columns, product)
            )
            progress = replace(
                _next(progress, task.layouts),
                done=done,
                measured=progress.measured + measured,
                rejects=progress.rejects + lost,
            )
            if on_progress is not None:
                on_progress(done, total)
            if time.monotonic() - saved >= config.checkpoint_s:
                with checkpoint(task.folder, identity, progress) as place:
                    product.save(place)
                    task.thumbnail.save(place)
                saved = time.monotonic()
    if not progress.measured:
        raise MapRejected(
            task.view.scene.scene_id,
            MapReason.NO_DATA,
            f"none of its {total} tiles has a valid pixel that can be read: they are nodata, "
            f"masked or broken ({len(progress.rejects)} cannot be read).",
        )
    return progress.rejects


def _next(progress: MapProgress, layouts: Sequence[Layout]) -> MapProgress:
    """Returns the next position: the next band, or the first of the next columns or layout."""
    layout = layouts[progress.layout]
    if progress.band + 1 < len(layout.bands):
        return replace(progress, band=progress.band + 1)
    if progress.columns + 1 < len(layout.columns):
        return replace(progress, columns=progress.columns + 1, band=0)
    return replace(progress, layout=progress.layout + 1, columns=0, band=0)


def _gather_band(
    task: SceneTask,
    model: TileModel,
    config: MapConfig,
    found: Iterator[Tile | TileReject],
    is_shown: bool,
) -> tuple[int, tuple[MapReject, ...]]:
    """Adds the tiles of one band; batches end with it, so that they are the same in every run.

    The picture of the scene shows them if `is_shown`.

    Returns:
        The number of tiles with valid pixels, and the tiles that cannot be read.
    """
    measured = 0
    lost: list[MapReject] = []

    def known() -> Iterator[Tile]:
        for tile in found:
            if isinstance(tile, TileReject):
                task.product.lose(tile.key)
                lost.append(MapReject.of_tile(tile))
            elif tile.is_valid_everywhere or tile.valid.any():
                yield tile

    for tiles, answer in answers(batched(known(), config.batch), model, task.view):
        task.product.add(tiles, answer)
        if is_shown:
            task.thumbnail.add(tiles)
        measured += len(tiles)
    return measured, tuple(lost)


def _bands(
    task: SceneTask, layout: Layout, columns: Columns, first: int
) -> Iterator[tuple[int, Iterator[Tile | TileReject]]]:
    """Yields each band's number and its tiles, which must be taken before the next band."""
    band_of = {
        layout.plan.rows[row]: number
        for number, band in enumerate(layout.bands)
        for row in band.tiles
    }
    part = replace(layout.parts(columns, first), cols=_tile_columns(columns, task.product))
    tiles = read_tiles(task.view, part, memory_bytes=_ALL_AT_ONCE)
    yield from groupby(tiles, lambda tile: band_of[tile.key.window.row])


def _tile_columns(columns: Columns, product: Product) -> range:
    """Returns the numbers of the tile columns to predict for a part of a map."""
    return columns.tiles if product.blends else columns.own


def _count(task: SceneTask) -> int:
    return sum(
        len(_tile_columns(columns, task.product)) * len(layout.plan.rows)
        for layout in task.layouts
        for columns in layout.columns
    )


def put_in_place(folder: Path, target: Path) -> None:
    """Moves a finished folder to its place: atomically, if nothing is there yet."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    folder.rename(target)
