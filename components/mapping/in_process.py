"""A model in this process: the newest pushed version of a folder, or one SavedModel."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from components.mapping.models import Answer
from components.raster.errors import DataError
from components.raster.tiles.tile import Tile
from components.raster.tiles.valid_mask import Pixels
from components.raster.tiles.view import View
from serving.contract.contract import read_contract
from serving.contract.names import PIXELS_INPUT, PIXELS_SIGNATURE
from serving.server.errors import ServingError
from serving.server.model import load_model
from serving.store.digest import model_digest
from serving.store.versions import MODEL_FILE, newest_version


class InProcessModel:
    """A `TileModel` that TensorFlow runs here."""

    requests = 1

    def __init__(self, path: Path, name: str | None = None) -> None:
        """Loads the model.

        Args:
            path: a folder of versions, whose newest is taken, or a SavedModel.
            name: for people; by default that of the folder.

        Raises:
            DataError: there is no model, it cannot be loaded, or it was exported before maps.
        """
        folder, version = _model_folder(path)
        self.contract = read_contract(folder)
        self.name = name or path.name
        self.version = version
        self.identity = model_digest(folder)
        try:
            self._model = load_model(version or 0, folder)
        except ServingError as error:
            raise DataError(f"{folder}: the model cannot be loaded: {error}") from error
        if PIXELS_SIGNATURE not in self._model.signatures:
            raise DataError(
                f"{folder} was exported by an earlier version, and has no signature "
                f"{PIXELS_SIGNATURE}, which maps need. Train and push it anew."
            )

    def answer(self, tiles: Sequence[Tile], view: View) -> Answer:
        """Returns the answer for each tile; see `TileModel`."""
        dtype = self.contract.image.pixel_type
        pixels = np.stack([_model_pixels(tile, dtype) for tile in tiles])
        try:
            return self._model.run(PIXELS_SIGNATURE, {PIXELS_INPUT: pixels})
        except ServingError as error:
            raise DataError(f"the model failed on {tiles[0].key}: {error}") from error


def _model_folder(path: Path) -> tuple[Path, int | None]:
    if (path / MODEL_FILE).is_file():
        return path, None
    newest = newest_version(path) if path.is_dir() else None
    if newest is None:
        raise DataError(
            f"{path} holds neither a model nor versions of one. Name a folder of pushed versions "
            "(--model-base), or a SavedModel."
        )
    return newest.path, newest.number


def _model_pixels(tile: Tile, dtype: str) -> Pixels:
    """Returns (H, W, C) as the model's decoder would: NaN, or 0 of bytes, where not valid."""
    pixels = tile.pixels.astype(dtype)
    if not tile.valid.all():
        pixels[~tile.valid] = np.nan if dtype == "float32" else 0
    if dtype == "float32":
        broken = ~np.isfinite(pixels).all(axis=-1)
        pixels[broken] = np.nan
    return pixels
