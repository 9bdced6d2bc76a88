"""The two parts of a network for explanations."""

import keras
import numpy as np
import pytest

from components.raster.image import ImageSpec
from trainer.data.bands import BandScale
from trainer.models.affine import affine_end
from trainer.models.config import SmallCnn
from trainer.tasks.network import build_network
from trainer.tasks.single_label import SingleLabel

SIDE_PX = 8
PHOTOGRAPHS = ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX)
RASTERS = ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX, bands=("red", "nir"))
SCALE = BandScale((300.0, 2000.0), (90.0, 700.0))


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("spec", [PHOTOGRAPHS, RASTERS], ids=["photographs", "rasters"])
def test_the_first_part_maps_lines_to_lines_and_both_answer_as_the_network(spec, batch_norm):
    keras.utils.set_random_seed(1)
    scale = SCALE if spec.bands else None
    model = SmallCnn(filters=(4, 8), batch_norm=batch_norm)
    network = build_network(model, spec, SingleLabel(("sea", "land")), scale)
    shapes = [each.shape for each in network.body.weights]
    network.body.set_weights([np.random.default_rng(0).random(shape) for shape in shapes])
    ends = np.random.default_rng(2).integers(0, 256, (2, *spec.shape)).astype(np.float32)
    if spec.bands:
        ends[:, 2, 3, 1] = np.nan
    found = network.explainable()
    assert found.first.count_params() > 0

    a, b = found.first(ends, training=False).numpy()
    [middle] = found.first(ends[:1] + 0.25 * (ends[1:] - ends[:1]), training=False).numpy()
    np.testing.assert_allclose(middle, 0.75 * a + 0.25 * b, rtol=1e-4, atol=1e-4)

    pixels = ends if spec.bands else ends.astype(np.uint8)
    expected = network.trained()(pixels, training=False).numpy()
    outputs = found.rest(found.first(ends), training=False)[2].numpy()
    np.testing.assert_allclose(outputs, expected, rtol=1e-5)
    np.testing.assert_allclose(found.whole()(ends)[2].numpy(), expected, rtol=1e-5)


def test_the_first_part_ends_before_what_is_not_affine_or_branches_or_is_an_output():
    pixels = keras.Input((SIDE_PX, SIDE_PX, 3))
    scaled = keras.layers.Rescaling(0.1)(pixels)
    convolved = keras.layers.Conv2D(2, 3)(scaled)
    bent = keras.layers.Conv2D(2, 3, activation="relu")(convolved)
    assert affine_end(keras.Model(pixels, bent)) is convolved

    branched = keras.layers.Concatenate()([scaled, keras.layers.ReLU()(scaled)])
    assert affine_end(keras.Model(pixels, branched)) is scaled

    assert affine_end(keras.Model(pixels, convolved)) is scaled
    assert affine_end(keras.Model(pixels, [bent, convolved])) is scaled

    directly = keras.layers.Conv2D(2, 3, activation="relu")(pixels)
    whole = keras.Model(pixels, directly)
    assert affine_end(whole) is whole.input
