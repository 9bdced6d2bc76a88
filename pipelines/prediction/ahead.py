"""Items of a generator, made while the one before is worked on."""

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def one_ahead(items: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """Yields the items in their order; a thread makes the next one meanwhile.

    The generator runs in that thread alone, to its end or to where it is closed. It pays where the
    caller waits outside of Python, as for a model.

    >>> list(one_ahead(number * number for number in range(4)))
    [0, 1, 4, 9]
    """
    with ThreadPoolExecutor(1, "ahead") as pool:
        try:
            coming = pool.submit(list, islice(items, 1))
            while found := coming.result():
                coming = pool.submit(list, islice(items, 1))
                yield from found
        finally:
            pool.submit(items.close).result()
