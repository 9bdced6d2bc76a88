"""The pixels that training sees are those of the served decoder, whichever way they came."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.raster.image import ImageSpec, Refusal
from serving.graph.inputs import model_input
from tests.varieties import HEIGHT, SPEC, VARIETIES, WIDTH, scene
from trainer.data.pixels import _all_plain, batch_pixels

BATCH = 4
OWN_SIZE = SPEC.model_copy(update={"height_px": HEIGHT, "width_px": WIDTH})
READABLE = [name for name in VARIETIES if not isinstance(VARIETIES[name]().outcome, Refusal)]


@pytest.fixture(scope="module")
def graphs():
    """Both ways as graphs, for each spec; a batch of any size up to `BATCH`."""
    strings, sizes = tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int64)

    def traced(spec):
        trained = tf.function(
            lambda encoded, height, width: batch_pixels(encoded, height, width, spec, BATCH),
            input_signature=[strings, sizes, sizes],
            autograph=False,
        )
        served = tf.function(
            lambda encoded: model_input(encoded, spec), input_signature=[strings], autograph=False
        )
        return trained, served

    return {spec: traced(spec) for spec in (SPEC, OWN_SIZE)}


def sizes_of(files):
    """Height and width of each, upright, as ingest writes them."""
    return tuple(
        np.array([VARIETIES[name]().outcome.shape[axis] for name in files]) for axis in (0, 1)
    )


@pytest.mark.parametrize("spec", [SPEC, OWN_SIZE], ids=["resized", "own size"])
@pytest.mark.parametrize("name", READABLE)
def test_a_batch_of_a_variety_has_the_served_pixels(name, spec, graphs):
    encoded = tf.constant([VARIETIES[name]().data] * 3)
    trained, served = graphs[spec]
    seen = trained(encoded, *sizes_of([name] * 3))
    assert seen.shape == (3, *spec.shape)
    assert np.array_equal(seen, served(encoded))


def test_a_mixed_batch_has_the_served_pixels(graphs):
    names = ["JPEG, YCbCr 4:2:0", "PNG, RGB", "JPEG, EXIF orientation 6", "JPEG, grayscale"]
    encoded = tf.constant([VARIETIES[name]().data for name in names])
    for trained, served in graphs.values():
        assert np.array_equal(trained(encoded, *sizes_of(names)), served(encoded))


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_batches_are_fitted_as_single_images_are(fit):
    spec = ImageSpec(height_px=20, width_px=20, fit=fit)
    encoded = tf.constant([VARIETIES["JPEG, progressive"]().data] * 2)
    seen = batch_pixels(encoded, *sizes_of(["JPEG, progressive"] * 2), spec, 2)
    assert np.array_equal(seen, model_input(encoded, spec))


def test_the_quick_way_is_that_of_plain_upright_jpegs():
    quick = {
        name
        for name in READABLE
        if _all_plain(tf.constant([VARIETIES[name]().data]), *sizes_of([name]), SPEC, BATCH)
    }
    kinds = ("YCbCr 4:2:0", "YCbCr 4:2:2", "YCbCr 4:4:4", "grayscale", "progressive")
    expected = {f"JPEG, {kind}" for kind in (*kinds, "restart markers", "arithmetic-coded")}
    # Pillow marks a file that says it is upright with EXIF, too; RGB and inks have no JFIF.
    assert quick == expected | {"JPEG named .png"}


def test_an_orientation_after_a_jfif_segment_is_not_overlooked():
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(scene()).save(buffer, "JPEG")
    plain = buffer.getvalue()
    body = b"Exif\x00\x00" + exif.tobytes().removeprefix(b"Exif\x00\x00")
    segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    both = tf.constant([plain[:20] + segment + plain[20:]] * 2)
    seen = batch_pixels(both, np.array([WIDTH] * 2), np.array([HEIGHT] * 2), SPEC, 2)
    assert np.array_equal(seen, model_input(both, SPEC))
    turned = model_input(tf.constant([plain] * 2), SPEC)
    assert not np.array_equal(seen, turned)


def test_sizes_that_are_missing_or_wrong_change_nothing(graphs):
    encoded = tf.constant([VARIETIES["JPEG, grayscale"]().data] * 2)
    trained, served = graphs[SPEC]
    for sizes in ((np.array([-1, -1]), np.array([-1, -1])), (np.array([5, 5]), np.array([5, 5]))):
        assert np.array_equal(trained(encoded, *sizes), served(encoded))


def test_a_batch_that_comes_in_parts_has_the_served_pixels():
    kinds = ["JPEG, YCbCr 4:2:0", "JPEG, grayscale", "JPEG, YCbCr 4:4:4"]
    names = [kinds[number % 3] for number in range(70)]
    encoded = tf.constant([VARIETIES[name]().data for name in names])
    seen = batch_pixels(encoded, *sizes_of(names), SPEC, 100)
    assert np.array_equal(seen, model_input(encoded, SPEC))
