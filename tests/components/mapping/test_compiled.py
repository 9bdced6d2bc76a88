"""Tiles blended by array operations and by compiled loops, against numpy."""

import sys
import threading

import numpy as np
import pytest

from components.mapping import blending
from components.mapping.blending import Blend
from components.mapping.compiled import CompiledLoops
from components.mapping.config import MapConfig
from components.mapping.maps import map_scene
from tests.components.mapping.networks import Network, contract_of, smooth_ground, write_scene

SIZE, ROW, COL = 40, 3, 2


def expecting(dtype, worth_px=1, expected_px=1):
    """Loops that were given time to load, where as many pixels are expected as they need."""
    loops = CompiledLoops(worth_px)
    for _ in range(expected_px):
        loops.expect(1, dtype)
    for thread in threading.enumerate():
        if thread.name == "compile":
            thread.join()
    return loops


def blend_of(planes, beside_px, above_px, next_px, random):
    """A tile of which some pixels count, between neighbours of random probabilities."""
    height, width = SIZE - ROW - 1, SIZE - COL - 5
    below_px, right_px = next_px

    def probabilities(*shape):
        # Quarters: many pixels have several classes that are equally probable.
        return random.integers(0, 5, (planes, *shape)).astype(np.float32) / 4

    def weights(count):
        return random.random(count, np.float32)

    return Blend(
        probabilities(SIZE, SIZE),
        (ROW, COL),
        (weights(height), weights(width)),
        probabilities(height, beside_px),
        probabilities(above_px, width - right_px),
        np.full((planes, height, right_px), np.nan, np.float32),
        np.full((planes, below_px, width - right_px), np.nan, np.float32),
    )


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("planes", [1, 2, 6, 300])
@pytest.mark.parametrize(
    "sides",
    [
        (0, 0, (0, 0)),
        (8, 9, (7, 6)),
        (30, 33, (33, 30)),  # as overlaps of more than a half
        (33, 36, (0, 0)),
        (8, 9, (36, 6)),
    ],
)
def test_a_tile_is_the_weighted_sum_and_its_classes_the_first_of_the_most_probable(
    is_compiled, planes, sides, monkeypatch
):
    beside_px, above_px, (below_px, right_px) = sides
    blend = blend_of(planes, *sides, np.random.default_rng(planes))
    (down, across), dtype = blend.weights, np.uint16 if planes > 255 else np.uint8
    sums = blend.tile[:, ROW : ROW + len(down), COL : COL + len(across)] * np.outer(down, across)
    sums[:, :, :beside_px] += blend.beside
    final = sums[:, :, : len(across) - right_px].copy()
    final[:, :above_px] += blend.above
    rows = len(down) - below_px
    expected = np.full((2, SIZE + 9, SIZE + 9), 77)
    here = slice(5, 5 + rows), slice(4, 4 + final.shape[2])
    expected[0, *here] = final[:, :rows].argmax(axis=0)
    # Weights are below 1, and sums of a tile and two neighbours may be above.
    expected[1, *here] = np.minimum(np.rint(final[:, :rows].max(axis=0) * np.float32(250)), 250)

    loops = expecting(dtype, expected_px=int(is_compiled))
    assert (loops.loaded(dtype) is not None) == is_compiled
    monkeypatch.setattr(blending, "LOOPS", loops)
    classes, confidence = (
        np.full((SIZE + 9,) * 2, 77, dtype),
        np.full((SIZE + 9,) * 2, 77, np.uint8),
    )
    blend.classes(classes, confidence, (5, 4))

    np.testing.assert_array_equal(classes, expected[0])
    np.testing.assert_array_equal(confidence, expected[1])
    np.testing.assert_array_equal(blend.next_beside, sums[:, :, len(across) - right_px :])
    np.testing.assert_array_equal(blend.next_above, final[:, rows:])


@pytest.mark.parametrize("probabilities", [False, True])
def test_maps_have_the_same_bytes_however_their_tiles_are_blended(
    probabilities, tmp_path, monkeypatch
):
    config = MapConfig(vectors=(), probabilities=probabilities)
    pixels = smooth_ground(300, 260)
    pixels[100:200, 50:180] = 0  # nodata
    source = write_scene(tmp_path / "scene.tif", pixels)
    found = []
    for expected_px in (0, 1):
        monkeypatch.setattr(blending, "LOOPS", expecting(np.uint8, expected_px=expected_px))
        network = Network(contract_of(size_px=64), radius=3)
        found.append(map_scene(source, network, config, tmp_path / f"{expected_px}"))
    for name in {*found[0].files} - {"item.json"}:  # which has the time
        assert (found[0].folder / name).read_bytes() == (found[1].folder / name).read_bytes(), name


def test_loops_refuse_arrays_whose_shapes_do_not_match(monkeypatch):
    monkeypatch.setattr(blending, "LOOPS", expecting(np.uint8))
    blend = blend_of(2, 8, 9, (7, 6), np.random.default_rng(0))
    blend.above = blend.above[:, :, :-1].copy()
    target = np.zeros((SIZE, SIZE), np.uint8)
    with pytest.raises(ValueError, match="do not match"):
        blend.classes(target, target, (0, 0))
    blend.above = np.empty((2, 0, 0), np.float32)
    with pytest.raises(ValueError, match="do not match"):
        blend.classes(target, target, (20, 0))


def test_loops_are_loaded_once_as_many_pixels_are_expected_as_are_worth_it():
    assert expecting(np.uint8, worth_px=3, expected_px=2).loaded(np.uint8) is None
    loops = expecting(np.uint8, worth_px=3, expected_px=3)  # as of several scenes
    assert loops.loaded(np.uint8) is not None
    assert loops.loaded(np.uint16) is None


def test_without_numba_nothing_is_loaded(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "numba", None)
    never_loaded = np.uint32  # others may be, by the tests before
    assert expecting(never_loaded).loaded(never_loaded) is None
    assert not capfd.readouterr().err
