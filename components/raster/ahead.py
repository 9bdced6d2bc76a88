"""Items of a generator, made while earlier ones are processed."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def one_ahead(items: Generator[Item, None, None]) -> Generator[Item, None, None]:
    """Yields the items in order; a thread makes the next one meanwhile.

    The generator runs only in that thread, until it ends or is closed. This pays if the caller
    waits outside of Python, as for a model.

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


def several_ahead(
    make: Callable[[Item], Made], items: Generator[Item, None, None], at_once: int
) -> Generator[Made, None, None]:
    """Yields the result for each item, in order; threads make the next results meanwhile.

    One further item waits for the threads, so that none of them waits for the caller. `items` is
    closed at the end.

    >>> list(several_ahead(str, (number for number in range(4)), 2))
    ['0', '1', '2', '3']
    """
    coming: deque[Future[Made]] = deque()
    with closing(items), ThreadPoolExecutor(at_once, "ahead") as pool:
        try:
            for item in items:
                coming.append(pool.submit(make, item))
                if len(coming) > at_once:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for it in coming:
                it.cancel()
