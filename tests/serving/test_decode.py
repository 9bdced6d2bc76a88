"""Outcome of each variety of image: the table of docs/images.md, row by row."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.raster.image import Fit, ImageSpec, Refusal
from serving.graph.decode import decode_image, decode_images, fit_image
from tests.varieties import SPEC, VARIETIES, Pixels, scene


@pytest.fixture(scope="module")
def decode_own_size():
    """The decoder as a graph, at each file's own size."""
    return tf.function(
        lambda encoded: decode_image(encoded, SPEC),
        input_signature=[tf.TensorSpec([], tf.string)],
        autograph=False,
    )


@pytest.mark.parametrize("name", VARIETIES)
def test_variety(name, decode_own_size):
    variety = VARIETIES[name]()
    if isinstance(variety.outcome, Refusal):
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            decode_own_size(tf.constant(variety.data))
        named = [refusal for refusal in Refusal if f"{refusal}: " in caught.value.message]
        # A file that is broken inside is refused in TensorFlow's own words.
        assert (named or [Refusal.CORRUPT]) == [variety.outcome]
    else:
        pixels = decode_own_size(tf.constant(variety.data)).numpy()
        assert pixels.shape == variety.outcome.shape
        assert np.abs(pixels.astype(int) - variety.outcome).max() <= variety.tolerance


def test_the_table_of_the_docs_has_these_rows(repository):
    lines = (repository / "docs" / "images.md").read_text().splitlines()
    cells = [line.split("|")[1].strip() for line in lines if line.startswith("|")]
    assert cells[2:] == list(VARIETIES)


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("shape", [(40, 40), (24, 96), (96, 24), (70, 140)])
def test_fit_is_what_pillow_gives(fit: Fit, shape):
    image = np.asarray(Image.fromarray(scene()).resize(shape[::-1], Image.Resampling.BICUBIC))
    spec = ImageSpec(height_px=32, width_px=48, fit=fit)
    fitted = fit_image(tf.constant(image), spec).numpy()
    expected = _fitted_by_pillow(image, 32, 48, fit)
    assert fitted.shape == expected.shape
    difference = np.abs(fitted.astype(int) - expected)
    assert np.percentile(difference, 95) <= 2
    assert difference.max() <= 12


def _fitted_by_pillow(image: Pixels, height: int, width: int, fit: Fit) -> Pixels:
    size = np.array(image.shape[:2])
    ratios = np.array([height, width]) / size
    factor = {"pad": ratios.min(), "crop": ratios.max()}.get(fit)
    rows, cols = (height, width) if factor is None else np.round(size * factor).astype(int)
    resized = Image.fromarray(image).resize((int(cols), int(rows)), Image.Resampling.BILINEAR)
    target = np.zeros((height, width, 3), np.uint8)
    if fit == "crop":
        top, left = (rows - height) // 2, (cols - width) // 2
        return np.asarray(resized)[top : top + height, left : left + width]
    top, left = (height - rows) // 2, (width - cols) // 2
    target[top : top + rows, left : left + cols] = np.asarray(resized)
    return target


def test_an_image_of_the_models_shape_stays_bit_equal():
    image = scene()
    for fit in ("stretch", "pad", "crop"):
        spec = ImageSpec(height_px=image.shape[0], width_px=image.shape[1], fit=fit)
        np.testing.assert_array_equal(fit_image(tf.constant(image), spec), image)


def test_a_batch_gives_what_its_images_give_alone():
    names = [name for name in VARIETIES if isinstance(VARIETIES[name]().outcome, np.ndarray)]
    encoded = [VARIETIES[name]().data for name in names]
    batch = decode_images(tf.constant(encoded), SPEC)
    assert batch.shape == (len(names), *SPEC.shape)
    assert batch.dtype == tf.uint8
    for data, pixels in zip(encoded, batch.numpy(), strict=True):
        alone = decode_images(tf.constant([data]), SPEC)[0]
        np.testing.assert_array_equal(pixels, alone)


def test_one_bad_image_refuses_its_batch():
    encoded = tf.constant([VARIETIES["PNG, RGB"]().data, VARIETIES["GIF"]().data])
    with pytest.raises(tf.errors.InvalidArgumentError, match="unsupported_format: "):
        decode_images(encoded, SPEC)


def test_an_empty_batch_is_an_empty_tensor():
    assert decode_images(tf.constant([], tf.string), SPEC).shape == (0, *SPEC.shape)
