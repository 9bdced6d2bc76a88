"""Merging of boxes of overlapping tiles, against objects that are known."""

import numpy as np
import pytest

from components.mapping.merging import DetectedObjects, merge
from components.mapping.weights import tile_starts

TILE, STRIDE, SIDE = 256, 192, 1216


def seen(objects, classes, side=SIDE, tile=TILE, stride=STRIDE, jitter=0.0, least=0.2, seed=0):
    """Objects found by tiles: all that they see enough of, clipped to the tile, a little off."""
    random = np.random.default_rng(seed)
    starts = tile_starts(side, tile, stride)
    found = []
    for top in starts:
        for left in starts:
            window = np.array([top, left, top + tile, left + tile], float)
            low = np.maximum(objects[:, :2], window[:2])
            high = np.minimum(objects[:, 2:], window[2:])
            area = np.prod(np.maximum(high - low, 0), axis=1)
            there = np.flatnonzero(area >= least * np.prod(objects[:, 2:] - objects[:, :2], axis=1))
            boxes = np.concatenate([low, high], axis=1)[there]
            boxes += random.normal(0, jitter, boxes.shape) if jitter else 0
            boxes = np.clip(boxes, np.tile(window[:2], 2), np.tile(window[2:], 2))
            scores = random.uniform(0.5, 1, len(there))
            found.append((boxes, classes[there], scores, np.tile(window, (len(there), 1))))
    return DetectedObjects(*map(np.concatenate, zip(*found, strict=True)))


def in_rows(side, step, size):
    """Objects side by side that do not touch."""
    places = np.arange(4, side - size - 4, step)
    tops, lefts = (it.ravel() for it in np.meshgrid(places, places, indexing="ij"))
    return np.stack([tops, lefts, tops + size, lefts + size], axis=1).astype(float)


def test_every_object_is_found_once():
    objects = in_rows(SIDE, 31, 22)
    classes = np.arange(len(objects)) % 3
    found = seen(objects, classes)
    assert len(found) > 1.4 * len(objects)
    merged = merge(found, SIDE, SIDE)
    order = np.lexsort((merged.boxes[:, 1], merged.boxes[:, 0]))
    np.testing.assert_array_equal(merged.boxes[order], objects)
    np.testing.assert_array_equal(merged.classes[order], classes)


def test_boxes_that_are_a_little_off_are_merged_as_well():
    objects = in_rows(SIDE, 31, 22)
    merged = merge(seen(objects, np.zeros(len(objects), int), jitter=1.0), SIDE, SIDE)
    assert abs(len(merged) - len(objects)) <= 0.005 * len(objects)


def test_the_whole_box_is_kept_though_a_part_has_the_better_score():
    windows = [[0, 0, 256, 256], [0, 192, 256, 448]]
    boxes = [[10, 200, 40, 256], [10, 200, 40, 280]]  # cut at column 256, and whole
    found = DetectedObjects(
        np.array(boxes, float), np.zeros(2, int), np.array([0.9, 0.6]), np.array(windows, float)
    )
    merged = merge(found, 256, 448)
    np.testing.assert_array_equal(merged.boxes, [boxes[1]])
    assert merged.scores.tolist() == [0.6]


def test_what_is_whole_in_no_tile_becomes_one_box_around_its_parts():
    """A road over three tiles and more."""
    road = np.array([[100.0, 20.0, 120.0, 620.0]])
    found = seen(road, np.array([0]), side=832, least=0.01)
    assert len(found) >= 4
    merged = merge(found, 832, 832)
    np.testing.assert_array_equal(merged.boxes, road)
    assert merged.scores[0] == found.scores.max()


def test_objects_of_one_tile_and_of_different_classes_are_left_alone():
    window = [[0.0, 0.0, 256.0, 256.0]] * 2
    overlapping = np.array([[10, 10, 50, 50], [12, 12, 52, 52]], float)
    one_tile = DetectedObjects(
        overlapping, np.zeros(2, int), np.array([0.5, 0.9]), np.array(window)
    )
    assert merge(one_tile, 256, 256).scores.tolist() == [0.9, 0.5]
    windows = np.array([[0, 0, 256, 256], [0, 5, 256, 261]], float)
    classes = DetectedObjects(overlapping, np.array([0, 1]), np.array([0.5, 0.9]), windows)
    assert len(merge(classes, 256, 261)) == 2


def test_a_small_neighbour_does_not_vanish_in_a_large_object():
    """Both tiles see both: a pond beside a field whose box holds the pond's."""
    windows = np.array([[0, 0, 256, 256]] * 2 + [[0, 192, 256, 448]] * 2, float)
    field, pond = [10, 195, 60, 250], [15, 200, 25, 210]
    boxes = np.array([field, pond, field, pond], float)
    merged = merge(
        DetectedObjects(boxes, np.zeros(4, int), np.array([0.9, 0.8, 0.7, 0.6]), windows), 256, 448
    )
    np.testing.assert_array_equal(merged.boxes, [field, pond])


@pytest.mark.parametrize("count", [0, 1])
def test_few_objects(count):
    found = seen(np.array([[5.0, 5, 9, 9]])[:count], np.zeros(count, int))
    assert len(merge(found, SIDE, SIDE)) == count
