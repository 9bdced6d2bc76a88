"""A model on a server: the embedded one, or stock TensorFlow Serving."""

import io
from collections.abc import Sequence
from typing import Self

import numpy as np
from PIL import Image
from pydantic import ValidationError

from components.mapping.models import TileAnswers
from components.raster.errors import DataError
from components.raster.payload import encode_payload
from components.raster.tiles.tile import Tile
from components.raster.tiles.view import View
from serving.client import InvalidRequest, ModelNotFound, PredictClient, connect
from serving.client.transport import RawAnswer
from serving.client.wire_tensors import string_array
from serving.contract.contract import Contract
from serving.contract.names import (
    BYTES_INPUT,
    BYTES_SIGNATURE,
    CONTRACT_INPUT,
    CONTRACT_OUTPUT,
    CONTRACT_SIGNATURE,
    PLANES_SIGNATURE,
)
from serving.tasks.segmentation.planes import (
    CLASS_PROBABILITIES_OUTPUT,
    PLANES_OUTPUT,
    read_planes,
)

_REQUESTS = 4
#: Size of a request's pixels before they are encoded: a quarter of the embedded server's limit.
_REQUEST_BYTES = 16 << 20


class ServedModel:
    """A `TileModel` that a server runs; use it as a context manager.

    All tiles go to the version that answered first, so that a map comes from one model even if a
    newer one is pushed meanwhile. TensorFlow Serving does not report its version over REST.
    """

    requests = _REQUESTS
    #: A server does not report it.
    item: str | None = None

    def __init__(self, client: PredictClient, name: str, version: int | None = None) -> None:
        """Reads the model's contract from the server.

        Raises:
            DataError: the model has none.
            ClientError: the server cannot be reached, or has no such model.
        """
        self._client, self.name = client, name
        answer = _contract_of(client, version)
        text = answer.outputs[CONTRACT_OUTPUT][0].decode()
        try:
            self.contract = Contract.model_validate_json(text)
        except ValidationError as error:
            raise DataError(f"{name}: the server's model has another contract: {error}") from error
        self.version = version if version is not None else answer.model_version
        self.identity = f"{name}/{self.version}/{text}"

    @classmethod
    def at(cls, address: str, name: str, version: int | None = None) -> Self:
        """Connects to the server at an address, such as `grpc://127.0.0.1:8500`."""
        return cls(connect(address, model=name, timeout_s=300), name, version)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.close()

    def answer(self, tiles: Sequence[Tile], view: View) -> TileAnswers:
        """Returns the answer for each tile; see `TileModel`.

        Servers limit the size of a request, so large tiles are sent in several.
        """
        count = max(1, _REQUEST_BYTES // max(tiles[0].pixels.nbytes, 1))
        parts = [self._ask(tiles[n : n + count], view) for n in range(0, len(tiles), count)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _ask(self, tiles: Sequence[Tile], view: View) -> TileAnswers:
        planes = self.contract.form == "pixels"
        images = string_array([_encoded(tile, view, self.contract) for tile in tiles])
        try:
            found = self._client.predict_raw(
                {BYTES_INPUT: images},
                signature=PLANES_SIGNATURE if planes else BYTES_SIGNATURE,
                version=self.version,
            )
        except ModelNotFound as error:
            raise ModelNotFound(
                f"{error} The map was begun with version {self.version}: start again for a map "
                "of the version that is served now."
            ) from error
        except InvalidRequest as error:
            raise DataError(f"the model refuses {tiles[0].key}: {error}") from error
        if not planes:
            return found.outputs
        count = len(self.contract.classes)
        outputs = dict(found.outputs)
        read = [read_planes(png, count) for png in outputs.pop(PLANES_OUTPUT).tolist()]
        return {**outputs, CLASS_PROBABILITIES_OUTPUT: np.stack(read)}


def _contract_of(client: PredictClient, version: int | None) -> RawAnswer:
    inputs = {CONTRACT_INPUT: string_array([b""])}
    try:
        return client.predict_raw(inputs, signature=CONTRACT_SIGNATURE, version=version)
    except InvalidRequest as error:
        raise DataError(
            f"the server's model has no contract ({error}): it was pushed by an earlier version. "
            "Train and push it again."
        ) from error


def _encoded(tile: Tile, view: View, contract: Contract) -> bytes:
    """Encodes a tile for the model's decoder: a payload, or a PNG of a photograph."""
    image = contract.image
    if image.bands is None:
        file = io.BytesIO()
        pixels = np.where(tile.valid[..., np.newaxis], tile.pixels, 0).astype(np.uint8)
        Image.fromarray(pixels).save(file, "PNG", compress_level=1)
        return file.getvalue()
    names = tuple(map(str, image.bands))
    valid = None if tile.is_valid_everywhere else tile.valid
    # Scale and offset were compared when the scene was opened.
    return encode_payload(tile.pixels, names, valid, image.values)
