"""Division of an iterable into lists of limited size."""

from collections.abc import Generator, Iterable
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def batched(items: Iterable[Item], size: int) -> Generator[list[Item], None, None]:
    """Yields lists of `size` items; the last one has the rest.

    >>> list(batched("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    waiting = iter(items)
    while batch := list(islice(waiting, size)):
        yield batch
