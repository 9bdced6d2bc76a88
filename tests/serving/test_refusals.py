"""A file is refused by the same name on both sides: ingest's reject and the server's answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from components.ingest.photographs.validate import ImageValidator, Refused
from components.raster.image import Refusal
from serving.client import BadImage, connect
from serving.graph.decode import decode_images
from tests.serving.conftest import RunningServer, copy_version, wait_until
from tests.varieties import SPEC, VARIETIES

BROKEN = [name for name, make in VARIETIES.items() if isinstance(make().outcome, Refusal)]


class Decoder(tf.Module):
    """The mean of what the served decoder makes of a file."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")], autograph=False)
    def mean(self, image_bytes: Any) -> dict[str, Any]:
        """One number per image."""
        pixels = tf.cast(decode_images(image_bytes, SPEC), tf.float32)
        return {"mean": tf.reduce_mean(pixels, axis=(1, 2, 3))}


@pytest.fixture(scope="module")
def server(
    serve_for_module: Callable[..., RunningServer], tmp_path_factory: pytest.TempPathFactory
) -> RunningServer:
    folder: Path = tmp_path_factory.mktemp("refusals")
    model = Decoder()
    tf.saved_model.save(model, str(folder / "saved"), signatures=model.mean)
    (folder / "m").mkdir()
    copy_version(folder / "saved", folder / "m", 1)
    server = serve_for_module(folder / "m")
    with connect(server.rest, model="m") as client:
        wait_until(lambda: client.served_version() == 1)
    return server


@pytest.fixture(scope="module")
def validate() -> ImageValidator:
    return ImageValidator(SPEC, decode=True)


@pytest.mark.parametrize("name", BROKEN)
def test_both_sides_give_it_the_same_name(
    name: str, server: RunningServer, validate: ImageValidator
) -> None:
    data = VARIETIES[name]().data
    verdict = validate(data)
    assert isinstance(verdict, Refused)
    for address in (server.grpc, server.rest):
        with connect(address, model="m") as client, pytest.raises(BadImage) as caught:
            client.predict([data])
        refusal = str(caught.value).partition("refuses the request: ")[2]
        assert refusal == f"{verdict.reason}: {verdict.detail}"
        assert "{{" not in refusal
        assert "node" not in refusal
