"""Blending of tiles, against weighted means computed over the whole scene."""

import numpy as np
import pytest

from components.mapping.mosaic import Mosaic
from components.mapping.weights import TileAxis, axis_weights, tile_starts
from components.raster.tiles.key import Window

HEIGHT, WIDTH, SIZE = 41, 53, 16
#: Of float32 sums in another order.
TOLERANCE = 1e-6


def means_of(answers, tops, lefts, blend):
    """Weighted means (K, H, W) of the tiles that were read, and the sum of their weights."""
    down, across = axis_weights(tops, SIZE, blend), axis_weights(lefts, SIZE, blend)
    total, weight = np.zeros((2, HEIGHT, WIDTH)), np.zeros((HEIGHT, WIDTH))
    for (top, left), values in answers.items():
        own = np.outer(down[tops.index(top)], across[lefts.index(left)])
        where = slice(top, top + SIZE), slice(left, left + SIZE)
        total[:, *where] += own * values
        weight[where] += own
    return total / np.where(weight > 0, weight, 1), weight


@pytest.mark.parametrize("blend", ["cosine", "constant", "crop"])
@pytest.mark.parametrize("stride", [16, 12, 8, 4])
@pytest.mark.parametrize("columns", [((0, WIDTH),), ((0, 20), (20, WIDTH))])
def test_every_pixel_gets_the_weighted_mean_of_the_tiles_that_were_read(blend, stride, columns):
    random = np.random.default_rng(stride)
    tops = tile_starts(HEIGHT, SIZE, stride)
    lefts = tile_starts(WIDTH, SIZE, stride)
    answers = {
        (top, left): random.random((2, SIZE, SIZE), np.float32) for top in tops for left in lefts
    }
    lost = {(tops[0], lefts[0]), (tops[1], lefts[1]), (tops[1], lefts[2]), (tops[-1], lefts[-1])}
    read = {place: values for place, values in answers.items() if place not in lost}
    expected, weight = means_of(read, tops, lefts, blend)
    found, known = np.zeros((2, HEIGHT, WIDTH)), np.zeros((HEIGHT, WIDTH), np.int64)

    def settle(window, values, valid):
        assert not known[window.slices].any(), "a pixel is settled once"
        known[window.slices] += True if valid is None else valid
        found[:, *window.slices] = values

    down, across = TileAxis(tops, SIZE, blend), TileAxis(lefts, SIZE, blend)
    for left_edge, right_edge in columns:
        mosaic = Mosaic(2, left_edge, right_edge, down, across, settle)
        for top in tops:
            for left in lefts:  # the reader reports lost tiles before the others are answered
                if (top, left) in lost:
                    mosaic.lose(Window(top, left, SIZE, SIZE))
            for left in lefts:
                if (top, left) not in lost:
                    mosaic.add(Window(top, left, SIZE, SIZE), answers[top, left], None)
            mosaic.finish()
            state = mosaic.state()
            mosaic = Mosaic(2, left_edge, right_edge, down, across, settle)  # as after a kill
            mosaic.restore(state)
    np.testing.assert_array_equal(known, weight > 1e-3)
    # Where tiles are lost, sums are divided by the weight of the others, and so is their rounding.
    difference = (found - expected) * weight
    np.testing.assert_allclose(difference[:, known > 0], 0, atol=TOLERANCE)
