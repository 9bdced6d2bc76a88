"""Strata of a map: its classes, its confidence, or blocks of ground."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.io import DatasetReader
from rasterio.windows import Window

from components.assessment.class_map import FinishedMap, opened_raster
from components.assessment.estimators import Floats, Integers
from components.assessment.sampling import Strips, count_strata
from components.raster.errors import ConfigError, DataError
from components.raster.scene.gdal import grid_of
from components.raster.scene.grid import Grid, differences

#: Bounds of strata by confidence.
CONFIDENCE_BOUNDS = (0.5, 0.7, 0.9)
_MOST_STRATA = 1000


class StrataKind(StrEnum):
    """Ways to divide a map into strata."""

    NONE = "none"
    CLASS = "class"
    CONFIDENCE = "confidence"
    BLOCK = "block"


@dataclass(frozen=True, eq=False)
class Strata:
    """A division of a map's pixels.

    Attributes:
        names: of the strata that hold pixels.
        population: pixels of each.
        strips: reads the stratum of each pixel.
    """

    names: tuple[str, ...]
    population: Integers
    strips: Strips


def strata_of(
    source: FinishedMap,
    kind: StrataKind,
    *,
    confidence: Path | None = None,
    block_px: int = 0,
    bounds: Sequence[float] = CONFIDENCE_BOUNDS,
) -> Strata:
    """Divides a map's pixels into strata; empty strata are left out.

    Args:
        source: the map.
        kind: of strata.
        confidence: raster of confidence from 0 to 1 on the map's grid, for strata by confidence.
        block_px: side of a square block in pixels, for strata by block.
        bounds: between strata by confidence, ascending.

    Raises:
        ConfigError: an argument that the kind needs is missing, or there are too many strata.
        DataError: the confidence has another grid.
    """
    names, strips = _division(source, kind, confidence, block_px, bounds)
    if len(names) > _MOST_STRATA:
        raise ConfigError(
            f"{len(names)} blocks are too many strata (at most {_MOST_STRATA}): take larger ones."
        )
    counts = count_strata(strips, len(names))
    held = np.flatnonzero(counts)
    renumber = np.full(len(names) + 1, -1, np.int64)
    renumber[held] = np.arange(len(held))

    def without_empty() -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        for row, strip in strips():
            yield row, renumber[strip]

    return Strata(tuple(names[it] for it in held.tolist()), counts[held], without_empty)


def _division(
    source: FinishedMap,
    kind: StrataKind,
    confidence: Path | None,
    block_px: int,
    bounds: Sequence[float],
) -> tuple[Sequence[str], Strips]:
    if kind is StrataKind.CLASS:
        return source.classes, source.strips
    if kind is StrataKind.NONE:
        return ("all",), lambda: _whole(source)
    if kind is StrataKind.CONFIDENCE:
        if confidence is None:
            raise ConfigError("strata by confidence need the raster of confidence: --confidence")
        _check_grid(source, confidence)
        return _ranges(bounds), lambda: _by_confidence(source, confidence, bounds)
    if block_px < 1:
        raise ConfigError("strata by block need the side of a block in pixels: --block-px")
    down, across = _blocks(source.grid, block_px)
    names = [f"block {row},{col}" for row in range(down) for col in range(across)]
    return names, lambda: _by_block(source, block_px)


def _whole(source: FinishedMap) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    for row, strip in source.strips():
        yield row, np.where(strip >= 0, 0, -1)


def _by_block(source: FinishedMap, block_px: int) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    _, across = _blocks(source.grid, block_px)
    cols = np.arange(source.grid.width_px) // block_px
    for row, strip in source.strips():
        rows = np.arange(row, row + len(strip)) // block_px
        yield row, np.where(strip >= 0, rows[:, None] * across + cols, -1)


def _by_confidence(
    source: FinishedMap, path: Path, bounds: Sequence[float]
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    # The map's file is opened last and closed first: GDAL's environments nest.
    with opened_raster(path) as dataset:
        for row, strip in source.strips():
            values = confidence_rows(dataset, row, len(strip))
            known = (strip >= 0) & np.isfinite(values)
            if unsaid := int((strip >= 0).sum() - known.sum()):
                raise DataError(
                    f"{path} has no confidence for {unsaid} pixels of rows {row} to "
                    f"{row + len(strip) - 1} that the map classifies: it belongs to another map."
                )
            yield row, np.where(known, np.searchsorted(bounds, values, side="right"), -1)


def confidence_rows(dataset: DatasetReader, row: int, height: int) -> Floats:
    """Reads rows of confidences from 0 to 1 (R, W); NaN where unknown.

    Raises:
        DataError: there are values beyond 0 and 1.
    """
    stored = dataset.read(1, window=Window(0, row, dataset.width, height), masked=True)
    values: Floats = np.ma.filled(stored.astype(np.float64), np.nan)
    values = values * dataset.scales[0] + dataset.offsets[0]
    if (np.nan_to_num(values) > 1).any() or (np.nan_to_num(values) < 0).any():
        raise DataError(
            f"{dataset.name} holds values beyond 0 and 1 in rows {row} to {row + height - 1}: "
            "a confidence is a share; set the raster's scale if it stores other numbers."
        )
    return values


def _check_grid(source: FinishedMap, path: Path) -> None:
    with opened_raster(path) as dataset:
        grid = grid_of(dataset)
    if wrong := differences([source.grid, grid]):
        raise DataError(f"{path} is not on the grid of {source.path}: {'; '.join(wrong)}.")


def _ranges(bounds: Sequence[float]) -> list[str]:
    edges = [0.0, *bounds, 1.0]
    if sorted(set(edges)) != edges:
        raise ConfigError(f"bounds of confidence ascend between 0 and 1: {list(bounds)}")
    return [f"confidence {low:g} to {high:g}" for low, high in pairwise(edges)]


def _blocks(grid: Grid, block_px: int) -> tuple[int, int]:
    return -(-grid.height_px // block_px), -(-grid.width_px // block_px)
