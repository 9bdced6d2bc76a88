"""Protocol of a family of sources: everything that ingest needs of one kind of source.

A family is bound to the configuration of one source, and `components.ingest.sources` finds the
family of a configuration. The phases of ingest (listing, fingerprint, shards, survey, sheet of
examples) call these methods and never check the kind.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from components.ingest.records.outcome import Converted, DecodedExample, Ignored
from components.ingest.records.record import Listing
from components.ingest.records.reject import Reject
from components.ingest.records.settings import Settings
from components.ingest.records.survey import Survey
from components.raster.scene.scene import SceneSource
from components.raster.tiles.key import TileKey
from components.raster.tiles.view import View

#: Entries of a fingerprint, which JSON can write; their order has no effect.
Entries = Iterable[Sequence[object]]
#: Yields a checksum that represents the content of each file, in order.
ChecksumsOf = Callable[[Iterable[str]], Iterator[str]]
#: Takes the digest (`components.raster.fingerprint.entry_digest`) of the entry of an item.
Note = Callable[[bytes], None]

Found = TypeVar("Found")


class Convert(Protocol):
    """Converts a shard's line of the listing."""

    def __call__(
        self, line: bytes, note: Note | None = None
    ) -> Iterator[Converted | Reject | Ignored]:
        """Yields one outcome for each of the line's items.

        Args:
            line: of the listing.
            note: called for each item whose files are all in `FingerprintInput.read_whole`, with
                its entry in the fingerprint, computed from the bytes that were read.
        """
        ...


class WholeScenes(NamedTuple):
    """Scenes that are read whole, with the other content of the source."""

    scenes: tuple[SceneSource, ...]
    rejects: Sequence[Reject]
    ignored: Counter[str]


@dataclass(frozen=True, eq=False)
class FingerprintInput:
    """Content of a fingerprint: the files whose content determines what ingest reads.

    There may be millions, so they are yielded whenever they are needed, and not held.

    Attributes:
        looked_at: yields files whose content is determined before and after workers read.
        entries: yields an entry for everything that determines what ingest reads, with the
            checksums of the files.
        read_whole: yields files that only a worker reads, once and whole, so that the worker itself
            can report their content.
        entries_beside: yields the entries that workers do not report, given the configured classes,
            which limit what workers read; None for any.
    """

    looked_at: Callable[[], Iterable[str]]
    entries: Callable[[ChecksumsOf], Entries]
    entries_beside: Callable[[ChecksumsOf, Collection[str] | None], Entries]
    read_whole: Callable[[], Iterable[str]] = tuple

    def files(self) -> Iterator[str]:
        """Yields all files."""
        yield from self.looked_at()
        yield from self.read_whole()


@runtime_checkable
class Family(Protocol[Found]):
    """One kind of source, bound to the configuration of a source.

    `Found` is the family's own representation of the source's content; callers only pass it back.
    Methods that read the source raise DataError if it cannot be read as a whole, and ConfigError if
    something that the configuration names cannot be used.
    """

    def find(self) -> Found:
        """Lists the content of the source; no image is opened."""
        ...

    def files_read_to_find(self) -> Sequence[str]:
        """Lists the files whose content, not only their name, determines the result of `find`."""
        ...

    def fingerprint_input(self, found: Found, split_files: Sequence[str]) -> FingerprintInput:
        """Lists the files that ingest would read now.

        Args:
            found: from `find`.
            split_files: files whose content determines splits.
        """
        ...

    def whole_scenes(self, found: Found) -> WholeScenes:
        """Returns the scenes of a source for maps; each photograph and chip is a scene."""
        ...

    def listing(self, settings: Settings, found: Found) -> Listing:
        """Returns the items that workers will read, with the splits that are known beforehand."""
        ...

    def lines(self, listing: Listing, shards: int) -> Iterable[bytes]:
        """Serializes a listing: one line of JSON for each of at most `shards` shards."""
        ...

    def uri_of_keys(self, line: bytes) -> Callable[[str], str]:
        """Returns a function from an example's key to its file, for the examples of a line."""
        ...

    def converter(self, settings: Settings, classes: Sequence[str]) -> Convert:
        """Returns the conversion of lines to examples, which never raises for a single item."""
        ...

    def survey(self, settings: Settings) -> Survey:
        """Counts the splits before anything is ingested."""
        ...

    def samples(
        self, settings: Settings, listing: Listing, count: int
    ) -> Iterator[DecodedExample | Reject]:
        """Yields about `count` examples before they are encoded, mixed as they will be written."""
        ...


@runtime_checkable
class Tiled(Protocol):
    """A family whose images are cut into tiles."""

    def tiles_of(
        self, settings: Settings, scene_id: str | None
    ) -> tuple[View, list[TileKey], list[TileKey]]:
        """Returns a scene's view, its tiles with a split, and its tiles without one.

        Raises:
            ConfigError: there is no such scene.
        """
        ...


#: A family of any kind.
AnyFamily = Family[Any]
