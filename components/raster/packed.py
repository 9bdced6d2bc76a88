"""Millions of small items in little memory: sequences in compressed blocks, and their sorting.

A million names as Python objects take hundreds of megabytes, most of it repeated: folders, string
headers, pointers. In blocks compressed by zlib an item takes a few bytes, and packing and unpacking
it less than a microsecond.
"""

import heapq
import pickle
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import eq
from typing import Any, TypeVar, overload

from components.raster.batched import batched

Item = TypeVar("Item")

#: Items of a block, which are unpacked together: fewer would compress less well.
_BLOCK = 128
#: Items that are sorted in memory at a time.
_RUN = 64 * _BLOCK
_LEVEL = 1  # zlib's fastest


class Packed(Sequence[Item]):
    """A sequence to append to that holds its items in compressed blocks.

    It is meant to be read in order: access to one item unpacks its whole block.

    >>> names = Packed(f"north/{number}.jpg" for number in range(1000))
    >>> len(names), names[700], sum(1 for _ in names)
    (1000, 'north/700.jpg', 1000)
    """

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._blocks: list[bytes] = []
        self._rest: list[Item] = []
        self.extend(items)

    def append(self, item: Item) -> None:
        """Adds an item at the end."""
        self._rest.append(item)
        if len(self._rest) == _BLOCK:
            self._pack()

    def extend(self, items: Iterable[Item]) -> None:
        """Adds items at the end."""
        waiting = iter(items)
        while some := list(islice(waiting, _BLOCK - len(self._rest))):
            self._rest += some
            if len(self._rest) == _BLOCK:
                self._pack()

    def __len__(self) -> int:
        return len(self._blocks) * _BLOCK + len(self._rest)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Packed):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    def __iter__(self) -> Iterator[Item]:
        for data in self._dumped():
            yield from self._load(data)
        yield from self._rest

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        block, place = divmod(range(len(self))[index], _BLOCK)
        if block == len(self._blocks):
            return self._rest[place]
        return next(islice(self._load(zlib.decompress(self._blocks[block])), place, None))

    def _dumped(self) -> Iterator[bytes]:
        """Yields each full block as `_dump` serialized it."""
        return map(zlib.decompress, self._blocks)

    def _pack(self) -> None:
        self._blocks.append(zlib.compress(self._dump(self._rest), _LEVEL))
        self._rest = []

    def _dump(self, items: list[Item]) -> bytes:
        """Serializes a block."""
        return pickle.dumps(items, pickle.HIGHEST_PROTOCOL)

    def _load(self, data: bytes) -> Iterable[Item]:
        """Inverts `_dump`."""
        items: list[Item] = pickle.loads(data)
        return items


def in_order(
    items: Iterable[Item],
    key: Callable[[Item], Any] | None = None,
    pack: Callable[[Iterable[Item]], Packed[Item]] = Packed,
) -> Iterator[Item]:
    """Yields all items in the order of `sorted`, and holds them packed.

    Args:
        items: read once, before the first is yielded.
        key: what to sort by; default: the items themselves.
        pack: the type that holds them.

    >>> list(in_order(["b", "c", "a"]))
    ['a', 'b', 'c']
    """
    runs = [pack(sorted(some, key=key)) for some in batched(items, _RUN)]  # type: ignore[type-var, arg-type]
    return heapq.merge(*runs, key=key)  # type: ignore[arg-type]
