"""Against the formulas written out pixel by pixel."""

import math

import numpy as np
import pytest

from components.raster.features import image_features

SHAPES = [(1, 1), (1, 9), (9, 1), (2, 2), (3, 3), (4, 7), (64, 64), (256, 5), (257, 4), (600, 11)]


def written_out(image):
    height, width, _ = image.shape
    values = [[[int(value) for value in pixel] for pixel in row] for row in image]
    means, deviations = [], []
    for band in range(3):
        samples = [values[row][col][band] for row in range(height) for col in range(width)]
        mean = sum(samples) / len(samples)
        means.append(mean)
        deviations.append(math.sqrt(sum((it - mean) ** 2 for it in samples) / len(samples)))
    luma = [[0.299 * r + 0.587 * g + 0.114 * b for r, g, b in row] for row in values]
    brightness = sum(map(sum, luma)) / (height * width)
    edges = [
        4 * luma[row][col]
        - luma[row - 1][col]
        - luma[row + 1][col]
        - luma[row][col - 1]
        - luma[row][col + 1]
        for row in range(1, height - 1)
        for col in range(1, width - 1)
    ]
    mean = sum(edges) / len(edges) if edges else 0
    sharpness = math.sqrt(sum((it - mean) ** 2 for it in edges) / len(edges)) if edges else 0
    return means, deviations, brightness, sharpness


@pytest.mark.parametrize("shape", SHAPES)
def test_features_are_what_the_formulas_say(shape):
    image = np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3)).astype(np.uint8)
    means, deviations, brightness, sharpness = written_out(image)
    features = image_features(image)
    assert features.mean == pytest.approx(means, rel=1e-12)
    assert features.stddev == pytest.approx(deviations, rel=1e-9, abs=1e-9)
    assert features.brightness == pytest.approx(brightness, rel=1e-12)
    assert features.sharpness == pytest.approx(sharpness, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("value", [0, 1, 100, 254, 255])
@pytest.mark.parametrize("shape", [(700, 50), (7, 7)])  # 49 * (1 / 49) is less than 1
def test_a_flat_image_has_no_deviation_and_no_sharpness(value, shape):
    features = image_features(np.full((*shape, 3), value, np.uint8))
    assert features.mean == (value, value, value)
    assert features.brightness == pytest.approx(value)
    assert features.stddev == (0, 0, 0)
    assert features.sharpness == 0


def test_one_grey_level_in_a_bright_image_is_not_lost():
    image = np.full((64, 64, 3), 250, np.uint8)
    image[0, 0] = 251
    share = 1 / 4096
    expected = math.sqrt(share * (1 - share))
    assert image_features(image).stddev == pytest.approx([expected] * 3, rel=1e-7)


def test_the_order_of_the_rows_in_memory_does_not_matter():
    image = np.random.default_rng(3).integers(0, 256, (300, 40, 3)).astype(np.uint8)
    assert image_features(np.asfortranarray(image)) == image_features(image)


def test_a_blurred_image_is_less_sharp():
    image = np.random.default_rng(4).integers(0, 256, (50, 50, 3)).astype(np.uint8)
    blurred = image.copy()
    blurred[1:] = (image[1:].astype(int) + image[:-1]) // 2
    assert image_features(blurred).sharpness < image_features(image).sharpness
