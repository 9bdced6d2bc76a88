"""Masking of a map by the score of unknown imagery, from models trained with `unknown`.

Each tile has a percentile: the share of the eval split with no higher score. Where tiles overlap,
it is blended like their answers.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from components.mapping.config import MapConfig
from components.mapping.models import TileAnswers
from components.mapping.product import COG, Masked, Output
from components.mapping.rasters import RasterSpec, spec_of_steps
from components.raster.errors import ConfigError, DataError
from components.raster.pictures.colours import RGB
from components.raster.scene.grid import Grid
from components.raster.tiles.valid_mask import Mask
from serving.contract.contract import Contract
from serving.tasks.reliability import UNKNOWN_PERCENTILE_OUTPUT

#: Percentiles are stored in steps of this, as bytes; 255 is nodata.
PERCENTILE_STEP = 0.5
PERCENTILE_NODATA = 255
#: Colour of masked pixels in pictures.
MASKED_RGB: RGB = (120, 60, 120)
MASKED_ENTRY = ("unknown imagery", MASKED_RGB)

Percentiles = npt.NDArray[np.float32]


def check_detects_unknown(contract: Contract, config: MapConfig) -> None:
    """Refuses to mask the maps of a model that does not detect unknown imagery.

    Raises:
        ConfigError: it does not.
    """
    if config.masks_unknown and contract.unknown is None:
        raise ConfigError(
            "the model does not detect unknown imagery, by which the map would be masked: set "
            "train.unknown: true, train and push it again, or leave mask_unknown "
            "(--mask-unknown) out."
        )


def percentiles_of(answer: TileAnswers) -> Percentiles:
    """Returns the percentile of each tile of an answer, (N,).

    Raises:
        DataError: the answer has none.
    """
    if UNKNOWN_PERCENTILE_OUTPUT not in answer:
        raise DataError(
            "the model detects unknown imagery in images, but not in the tiles of a map: it was "
            "exported by an earlier version. Train and push it again."
        )
    return np.asarray(answer[UNKNOWN_PERCENTILE_OUTPUT], np.float32)


def stored_percentiles(percentiles: Percentiles, known: Mask) -> npt.NDArray[np.uint8]:
    """Returns percentiles (H, W) in steps of `PERCENTILE_STEP`, nodata where nothing is known."""
    steps = np.rint(np.where(known, percentiles, 0) / PERCENTILE_STEP).astype(np.uint8)
    return np.where(known, steps, np.uint8(PERCENTILE_NODATA))


def masked_where(stored: npt.NDArray[np.uint8], config: MapConfig) -> Mask:
    """Marks stored percentiles above the configured one; never nodata."""
    least = np.inf if config.mask_unknown is None else config.mask_unknown
    return np.asarray((stored != PERCENTILE_NODATA) & (stored * PERCENTILE_STEP > least), np.bool_)


def masked_in(unit: str, parts: Iterable[npt.NDArray[np.generic]], config: MapConfig) -> Masked:
    """Counts masked values in parts of stored percentiles; nodata does not count."""
    left_out = known = 0
    for part in parts:
        stored = np.asarray(part, np.uint8)
        known += int(np.count_nonzero(stored != PERCENTILE_NODATA))
        left_out += int(np.count_nonzero(masked_where(stored, config)))
    return Masked(unit, left_out, known)


def percentile_spec(grid: Grid) -> RasterSpec:
    """Describes the raster of percentiles."""
    bands = ("percentile of unknown imagery",)
    return spec_of_steps("unknown", grid, bands, PERCENTILE_STEP, PERCENTILE_NODATA)


def percentile_output(path: Path, config: MapConfig) -> Output:
    """Describes the finished raster of percentiles and its effect on the other files."""
    title = "Percentile of unknown imagery"
    description = f"The other files are empty where it is above {config.mask_unknown:g}."
    return Output("unknown", path, COG, title, {"description": description})
