"""Sequences in compressed blocks behave as lists do, and take less memory."""

import random
import tracemalloc

import pytest

from components.raster.packed import Packed, in_order


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 1000])
def test_it_reads_as_a_list_does(count: int) -> None:
    items = [f"scène {number}" for number in range(count)]
    packed = Packed(items)
    assert list(packed) == items
    assert list(packed) == items
    assert [packed[place] for place in range(-count, count)] == items + items
    assert packed[3:count:50] == items[3:count:50]
    with pytest.raises(IndexError):
        packed[count]


def test_it_grows_after_it_was_read() -> None:
    packed = Packed(range(300))
    assert list(packed) == list(range(300))
    packed.extend(range(300, 700))
    assert list(packed) == list(range(700))
    assert packed == Packed(range(700))
    assert packed != Packed(range(699))


@pytest.mark.parametrize("count", [0, 5, 20_000])
def test_it_is_sorted_as_sorted_does(count: int) -> None:
    draw = random.Random(count)
    items = [(draw.randrange(count // 3 + 1), number) for number in range(count)]

    def first(item: tuple[int, int]) -> int:
        return item[0]

    assert list(in_order(iter(items), first)) == sorted(items, key=first)
    assert list(in_order(items)) == sorted(items)


def test_it_takes_a_fraction_of_a_list_s_memory() -> None:
    tracemalloc.start()
    try:
        packed = Packed(f"/data/photos/north/{number:07d}.jpg" for number in range(20_000))
        assert tracemalloc.get_traced_memory()[0] < 20 * len(packed)  # a text takes 80
    finally:
        tracemalloc.stop()
