"""Records: metadata of images from their source, before any image is read."""

import pickle
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, repeat
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from components.ingest.records.reject import Reject
from components.ingest.records.scene_part import ScenePart
from components.raster.band_scalings import BandScalings
from components.raster.location import is_remote
from components.raster.packed import Packed, in_order
from components.raster.truth.value import Truth

SliceValue = str | int | float


class Record(NamedTuple):
    """One image named by a source (a tuple; `Records` holds millions).

    Attributes:
        key: path below the source's root, `/` between parts; unique.
        uri: location of the file.
        label: the class, or None if only `labels` are known.
        labels: several classes, sorted; None if the source has only one.
        split: the given split (`train`, `eval`, `test`), or None.
        group: group of images that must share a split, or None.
        slices: slice features by name.
        number: the true number in regression, or None.
        mask_uri: location of the image's mask, or None.
        boxes_of: the name of the image in the file of boxes, or None.
        drawn: the split that was drawn because none is given, or None.
    """

    key: str
    uri: str
    label: str | None = None
    labels: tuple[str, ...] | None = None
    split: str | None = None
    group: str | None = None
    slices: Mapping[str, SliceValue] = MappingProxyType({})
    number: float | None = None
    mask_uri: str | None = None
    boxes_of: str | None = None
    drawn: str | None = None

    @property
    def is_local(self) -> bool:
        """True if all its files are on this machine."""
        return not (is_remote(self.uri) or (self.mask_uri and is_remote(self.mask_uri)))

    @property
    def names(self) -> tuple[str, ...]:
        """Every class that the record names."""
        if self.labels is None and self.label is not None:
            return (self.label,)
        return (self.labels or ()) + ((self.label,) if self.label is not None else ())

    def truth_with(self, other: Truth) -> Truth:
        """Returns the record's class, classes and number, with a mask or boxes from elsewhere."""
        return replace(other, label=self.label, labels=self.labels, number=self.number)


_DEFAULTS = tuple(Record("", ""))
_LABELS, _SLICES = map(Record._fields.index, ("labels", "slices"))
_FILES = [Record._fields.index(name) for name in ("uri", "mask_uri")]
#: Makes a record from all its fields; `Record` itself is a Python function, which is slower.
_make: Callable[[tuple[Any, ...]], Record] = partial(tuple.__new__, Record)


def to_columns(records: Sequence[Record]) -> list[Sequence[Any]]:
    """Returns a column for each field, up to the last one that any of the records has, for JSON."""
    columns: list[Sequence[Any]] = list(zip(*records, strict=True)) or [()]
    while len(columns) > 1 and columns[-1].count(_DEFAULTS[len(columns) - 1]) == len(records):
        columns.pop()
    if len(columns) > _SLICES:
        columns[_SLICES] = tuple(map(dict, columns[_SLICES]))
    return columns


def of_columns(columns: Sequence[Sequence[Any]]) -> Iterator[Record]:
    """Inverts `to_columns`, also for columns from JSON, which has no tuples."""
    if len(columns) > _LABELS:
        labels = [it if it is None else tuple(it) for it in columns[_LABELS]]
        columns = [*columns[:_LABELS], labels, *columns[_LABELS + 1 :]]
    every = [*columns, *map(repeat, _DEFAULTS[len(columns) :])]
    return map(_make, zip(*every, strict=False))


def are_local(uris: Iterable[str | None]) -> bool:
    """Checks that no location is remote; None counts as local."""
    given = [uri for uri in uris if uri is not None]
    # One search in all of them together usually suffices.
    return "://" not in "".join(given) or not any(map(is_remote, given))


class Records(Packed[Record]):
    """Records of images in compressed blocks: ten to forty bytes each instead of hundreds."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._packed_sorted, self._last_key = True, ""
        self._packed_local = True
        super().__init__(records)

    @property
    def is_sorted(self) -> bool:
        """True if the records are in the order of their keys."""
        return self._packed_sorted and self._follow(record.key for record in self._rest)

    @property
    def are_local(self) -> bool:
        """True if all their files are on this machine."""
        return self._packed_local and all(record.is_local for record in self._rest)

    def columns(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """Yields the named fields of each record, faster than whole records."""
        places = [Record._fields.index(name) for name in names]
        rest = [to_columns(self._rest)] if self._rest else []
        for held in chain(map(pickle.loads, self._dumped()), rest):
            missing = [repeat(default, len(held[0])) for default in _DEFAULTS[len(held) :]]
            every = [*held, *missing]
            yield from zip(*(every[place] for place in places), strict=True)

    def by_key(self) -> "Records":
        """Returns the records in the order of their keys."""
        return self if self.is_sorted else Records(in_order(self, attrgetter("key"), Records))

    def _follow(self, keys: Iterable[str]) -> bool:
        """Checks whether keys continue the order of those in blocks."""
        both = [self._last_key, *keys]
        return both == sorted(both)

    def _dump(self, items: list[Record]) -> bytes:
        """Serializes the columns of the records."""
        columns = to_columns(items)
        self._packed_sorted = self._packed_sorted and self._follow(columns[0])
        self._last_key = items[-1].key
        files = [it for place in _FILES for it in columns[place : place + 1]]
        self._packed_local = self._packed_local and all(map(are_local, files))
        return pickle.dumps(columns, pickle.HIGHEST_PROTOCOL)

    def _load(self, data: bytes) -> Iterable[Record]:
        return of_columns(pickle.loads(data))


@dataclass
class Contents:
    """Items named by a source, in any order; `ignored` counts files that are not images, by suffix.

    Attributes:
        classes: those that the source declares outside its records, by a legend or a file of
            boxes.
        scalings: of the bands, as in `Listing`.
        train_to_test_m: as in `Listing`.
    """

    records: Records = field(default_factory=Records)
    rejects: list[Reject] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    classes: tuple[str, ...] = ()
    scalings: BandScalings | None = None
    train_to_test_m: float | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """All items named by a source, sorted by key.

    Attributes:
        records: images that ingest will read.
        rejects: items that could not be listed.
        ignored: number of files that are not images, by suffix.
        classes: class names in the order of their indices.
        parts: of scenes, instead of records.
        scalings: common to all rasters, if their numbers are kept as stored for that reason.
        scene_groups: the group of a scene's tiles by its id, if it has one.
        train_to_test_m: metres between the nearest tiles of the train and the test split; None
            without georeferences, or without tiles in one of them.
    """

    records: Records
    rejects: tuple[Reject, ...]
    ignored: Mapping[str, int]
    classes: tuple[str, ...]
    parts: tuple[ScenePart, ...] = ()
    scalings: BandScalings | None = None
    scene_groups: Mapping[str, str] = field(default_factory=dict)
    train_to_test_m: float | None = None

    @property
    def groups(self) -> dict[str, str]:
        """The group of an image by its key, or of a scene's tiles by its id, if it has one."""
        groups = self.records.columns("key", "group")
        named = {key: group for key, group in groups if group is not None}
        return named | dict(self.scene_groups)

    @property
    def images(self) -> int:
        """Number of examples and rejects that will follow."""
        return len(self.records) + sum(part.tiles for part in self.parts)
