"""Explanations by answers alone, of a score whose cause is known: the brightness of one square."""

import numpy as np
import pytest

from components.explanation.occlusion import occlusion
from components.explanation.superpixels import kernel_shap, lime, superpixels
from components.explanation.tracin import influence, of_classes
from components.explanation.xrai import xrai
from components.raster.pictures.heat import heat_sheet, scaled_heat

SQUARE = slice(8, 16), slice(20, 28)


@pytest.fixture
def pixels():
    random = np.random.default_rng(3)
    image = random.integers(0, 60, (32, 32, 3)).astype(np.uint8)
    image[SQUARE] = 220
    return image


def brightness(copies):
    """The mean brightness of the square, as a share of its own; few copies come at a time."""
    assert len(copies) <= 16
    return copies[(slice(None), *SQUARE)].mean(axis=(1, 2, 3)) / 220


def share_in_square(heat):
    inside = np.zeros(heat.shape, bool)
    inside[SQUARE] = True
    return inside.ravel()[np.argsort(heat, axis=None)[-inside.sum() :]].mean()


def test_occlusion_finds_the_square_and_tells_how_far_the_score_falls(pixels):
    heat = occlusion(brightness, pixels, window_px=4, stride_px=2)
    assert share_in_square(heat) > 0.9
    # A window within the square hides a quarter of it: 220 becomes the image's mean.
    fall = 0.25 * (220 - int(pixels.mean())) / 220
    assert heat.max() == pytest.approx(fall, rel=0.03)
    assert heat[:4, :4].max() == 0


@pytest.mark.parametrize("fit", [lime, kernel_shap])
def test_superpixels_give_the_square_its_share(pixels, fit):
    segments = superpixels(pixels, 24)
    values = fit(brightness, pixels, segments, 200)
    assert share_in_square(values) > 0.8
    if fit is kernel_shap:  # they add up to the score less that of nothing
        shares = [values[segments == index][0] for index in np.unique(segments)]
        nothing = brightness(np.full((1, 32, 32, 3), pixels.reshape(-1, 3).mean(0), np.uint8))
        assert sum(shares) == pytest.approx(brightness(pixels[None])[0] - nothing[0], abs=1e-6)


def test_xrai_ranks_the_region_of_the_attributions_first(pixels):
    attributions = np.random.default_rng(0).random((32, 32)).astype(np.float32) * 0.2
    attributions[SQUARE] += 0.5
    heat = xrai(pixels, attributions)
    first = heat == heat.max()
    assert first[SQUARE].all()
    assert first.sum() < 3 * first[SQUARE].size  # it grows regions by a few pixels


def test_a_step_on_a_proponent_lowers_the_loss_of_the_answer():
    """The influence is the product of two gradients; here they are made by differences."""
    random = np.random.default_rng(1)
    weights, bias = random.normal(size=(4, 3)), random.normal(size=3)
    inputs, truth = random.normal(size=(3, 4)), np.array([0, 2, 1])

    def losses(parameters):
        logits = inputs @ parameters[:12].reshape(4, 3) + parameters[12:]
        return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(3), truth]

    flat = np.concatenate([weights.ravel(), bias])
    steps = 1e-6 * np.eye(15)
    gradients = np.stack([(losses(flat + it) - losses(flat - it)) / 2e-6 for it in steps], axis=1)
    logits = inputs @ weights + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    layer = of_classes(inputs, probabilities, truth)
    np.testing.assert_allclose(influence(layer, layer), gradients @ gradients.T, atol=1e-6)


def test_a_sheet_shows_the_picture_its_heat_and_the_bar(pixels):
    heat = np.zeros((32, 32), np.float32)
    heat[SQUARE] = 3.0
    sheet = np.asarray(heat_sheet(pixels, scaled_heat(heat), "square"))
    assert sheet.shape == (320 + 40, 2 * 320 + 14 + 60, 3)
    top = sheet[30:350]
    np.testing.assert_array_equal(top[5, 15], pixels[0, 0])  # left: the picture, ten times larger
    hot, cold = top[115, 340 + 235], top[5, 345]
    assert int(hot.sum()) > 400 > 100 > int(cold.sum())


def test_a_missing_package_names_the_extra(monkeypatch, pixels):
    import sys

    from components.raster.errors import ConfigError

    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(ConfigError, match=r"shap needs shap, .*skymill\[explain\]"):
        kernel_shap(brightness, pixels, superpixels(pixels, 8), 50)
