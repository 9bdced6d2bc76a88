"""A model in this process: the newest pushed version of a folder, or one SavedModel."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from components.mapping.models import TileAnswers
from components.raster.errors import DataError
from components.raster.tiles.tile import Tile
from components.raster.tiles.valid_mask import Pixels
from components.raster.tiles.view import View
from serving.contract.names import PIXELS_INPUT, PIXELS_SIGNATURE
from serving.server.errors import ServingError
from serving.server.pushed import load_pushed
from serving.store.versions import PROVENANCE_DIR, STAC_FILE


class InProcessModel:
    """A `TileModel` that TensorFlow runs in this process."""

    requests = 1

    def __init__(self, path: Path, name: str | None = None, version: int | None = None) -> None:
        """Loads the model.

        Args:
            path: a folder of versions, or a SavedModel.
            name: for people; default: that of the folder.
            version: within a folder of versions; default: the newest.

        Raises:
            DataError: there is no model, it cannot be loaded, or its export cannot make maps.
        """
        pushed = load_pushed(path, version)
        self.contract = pushed.contract
        self.name = name or path.name
        self.version = pushed.version
        self.identity = pushed.identity
        self._model = pushed.model
        item = self._model.path / PROVENANCE_DIR / STAC_FILE
        self.item = str(item.resolve()) if item.is_file() else None
        if PIXELS_SIGNATURE not in self._model.signatures:
            raise DataError(
                f"{self._model.path} was exported by an earlier version, and has no signature "
                f"{PIXELS_SIGNATURE}, which maps need. Train and push it again."
            )

    def answer(self, tiles: Sequence[Tile], view: View) -> TileAnswers:
        """Returns the answer for each tile; see `TileModel`."""
        pixels = _batch(tiles, self.contract.image.pixel_type)
        try:
            return self._model.run(PIXELS_SIGNATURE, {PIXELS_INPUT: pixels})
        except ServingError as error:
            raise DataError(f"the model failed on {tiles[0].key}: {error}") from error


def _batch(tiles: Sequence[Tile], dtype: str) -> Pixels:
    """Returns (N, H, W, C) as the model's decoder would: NaN, or 0 of bytes, where not valid."""
    batch = np.empty((len(tiles), *tiles[0].pixels.shape), dtype)
    for pixels, tile in zip(batch, tiles, strict=True):
        pixels[...] = tile.pixels
        if not tile.is_valid_everywhere:
            pixels[~tile.valid] = np.nan if dtype == "float32" else 0
        if tile.pixels.dtype.kind == "f":
            pixels[~np.isfinite(pixels).all(axis=-1)] = np.nan
    return batch
