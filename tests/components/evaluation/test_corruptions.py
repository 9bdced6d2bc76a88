"""Corrupted copies: deterministic, stronger by strength, and measured as slices."""

import numpy as np
import pytest

from components.evaluation.config import EvaluationConfig
from components.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupted
from components.evaluation.result import EvaluationResult, SliceMetrics


def tile(dtype=np.uint16):
    rng = np.random.default_rng(1)
    rows, cols = np.mgrid[:32, :32]
    plane = 2000 + 800 * np.sin(rows / 5) * np.cos(cols / 4)
    pixels = np.stack([plane, plane * 1.5, plane * 0.5], axis=-1) + rng.normal(0, 60, (32, 32, 3))
    valid = np.ones((32, 32), bool)
    valid[:3] = False
    pixels[:3] = 0
    return pixels.astype(dtype), valid


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_each_corruption_grows_with_its_strength_and_follows_the_key(name, dtype):
    pixels, valid = tile(dtype)
    distances = []
    for strength in STRENGTHS:
        found, left = corrupted(pixels, valid, name, strength, "a/1")
        again, _ = corrupted(pixels, valid, name, strength, "a/1")
        assert found.dtype == pixels.dtype
        assert found.shape == pixels.shape
        assert np.isfinite(found).all()
        assert (found == again).all()
        assert not left[~valid].any()
        distances.append(np.abs(found.astype(float) - pixels)[valid].mean())
    assert 0 < distances[0] <= distances[1] <= distances[2]
    assert distances[0] < distances[2] or name == "missing_band"
    shown = [corrupted(pixels, valid, "noise", 1, key)[0] for key in ("a/1", "a/2")]
    assert (shown[0] != shown[1]).any()


def test_known_answers():
    pixels, valid = tile()
    shifted, _ = corrupted(pixels, valid, "shift", 2, "k")
    assert (shifted[5:, 2:] == pixels[5:, :-2]).all()
    dark, _ = corrupted(pixels, valid, "darkness", 2, "k")
    assert np.abs(dark[valid] - pixels[valid] * 0.6).max() <= 0.5
    _, left = corrupted(pixels, valid, "nodata", 3, "k")
    assert left.sum() == valid.sum() / 2
    missing, _ = corrupted(pixels, valid, "missing_band", 3, "k")
    assert (missing[valid].max(axis=0) == 0).sum() == 2, "one of three bands is left"


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_without_a_valid_pixel_stays_as_it_is(name):
    pixels, valid = tile()
    found, left = corrupted(pixels, valid & False, name, 3, "k")
    assert (found == pixels).all()
    assert not left.any()


def test_a_threshold_may_speak_of_corruptions_that_are_measured():
    threshold = {"metric": "accuracy", "slice": "corruption=haze,strength=2", "at_least": 0.5}
    EvaluationConfig.model_validate({"corruptions": ["haze"], "thresholds": [threshold]})
    with pytest.raises(ValueError, match="slices has no"):
        EvaluationConfig.model_validate({"thresholds": [threshold]})
    with pytest.raises(ValueError, match="haze"):
        EvaluationConfig.model_validate({"corruptions": ["hase"]})


def test_the_curve_of_a_corruption_begins_without_it():
    slices = [SliceMetrics((), {"accuracy": 0.9})]
    for strength, accuracy in ((1, 0.8), (2, 0.7), (3, float("nan"))):
        key = (("corruption", "haze"), ("strength", str(strength)))
        slices.append(SliceMetrics(key, {"accuracy": accuracy}))
    evaluation = EvaluationResult("test", ("a", "b"), None, None, tuple(slices))
    assert evaluation.corruption_curves == {"haze": (0.9, 0.8, 0.7, None)}


def test_a_tile_keeps_its_bands_its_scalings_and_its_truth():
    import tensorflow as tf

    from components.evaluation.robustness import corrupted_example
    from components.raster.payload import decode_payload, encode_payload, read_header
    from components.raster.scaling import Scaling

    pixels, valid = tile()
    scalings = [Scaling(0.0001, -0.1)] * 3
    payload = encode_payload(pixels, ("red", "nir", "swir"), valid, None, scalings)
    example = tf.train.Example()
    texts = {"image/encoded": payload, "image/format": b"tile", "image/key": b"k", "label": b"x"}
    for name, value in texts.items():
        example.features.feature[name].bytes_list.value.append(value)
    copy = tf.train.Example.FromString(corrupted_example(example.SerializeToString(), "nodata", 3))
    found = {name: copy.features.feature[name].bytes_list.value[0] for name in texts}
    assert found["label"] == b"x"
    header, changed = read_header(found["image/encoded"]), decode_payload(found["image/encoded"])
    assert header.scalings == read_header(payload).scalings
    assert changed.bands == ("red", "nir", "swir")
    expected, left = corrupted(pixels, valid, "nodata", 3, "k")
    assert (changed.valid == left).all()
    assert (changed.pixels[left] == expected[left]).all()
