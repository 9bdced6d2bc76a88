"""Final answers as bytes, against numpy's argmax and rounding."""

import numpy as np
import pytest

from components.mapping.config import MapConfig
from components.mapping.settled import Settled
from components.raster.labels.targets import ignore_value
from components.raster.tiles.key import Window

HEIGHT, WIDTH = 240, 200


@pytest.mark.parametrize("count", [1, 2, 6, 300])
@pytest.mark.parametrize("is_known_everywhere", [True, False])
def test_the_first_of_the_most_probable_classes_is_taken(count, is_known_everywhere):
    random = np.random.default_rng(count)
    # Quarters: most pixels have several classes that are equally probable.
    values = random.integers(0, 5, (count, HEIGHT, WIDTH)).astype(np.float32) / 4
    valid = np.ones((HEIGHT, WIDTH), np.bool_)
    if not is_known_everywhere:
        valid = random.random((HEIGHT, WIDTH)) < 0.7
        values[:, ~valid] = np.nan
    config = MapConfig(vectors=(), probabilities=True)
    settled = Settled(count, HEIGHT + 7, 10, 10 + WIDTH + 3, 1000, config)

    settled.put(Window(1005, 12, HEIGHT, WIDTH), values, None if is_known_everywhere else valid)

    classes = np.full(settled.classes.shape, ignore_value(count))
    confidence = np.full(settled.confidence.shape, 255)
    probabilities = np.full(settled.probabilities.shape, 255)
    here = slice(5, 5 + HEIGHT), slice(2, 2 + WIDTH)
    known = np.where(valid, values, 0)
    # A step is 0.004; a quarter is 62.5 of them, which OpenCV rounds to the even number.
    steps = np.rint(known.astype(np.float64) * 250)
    classes[here] = np.where(valid, known.argmax(axis=0), ignore_value(count))
    confidence[here] = np.where(valid, steps.max(axis=0), 255)
    probabilities[:, *here] = np.where(valid, steps, 255)
    np.testing.assert_array_equal(settled.classes, classes)
    np.testing.assert_array_equal(settled.confidence, confidence)
    np.testing.assert_array_equal(settled.probabilities, probabilities)
