"""Interface of the configuration of a source, whatever its kind."""

import re
from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple, Protocol

from pydantic import Field

from components.raster.frozen import Frozen
from components.raster.labels.class_raster import ClassLegend
from components.raster.location import Location


class InputPath(NamedTuple):
    """A file or folder that a run reads.

    Attributes:
        key: the key of the configuration that names it, below the source: `labels.path`.
        path: as configured; it may be remote.
        kind: of what must be there.
    """

    key: str
    path: str
    kind: Literal["file", "folder", "file or folder"]


class Located(Protocol):
    """Anything with a location: a path or an address."""

    @property
    def uri(self) -> str: ...


class SourceOptions(Frozen):
    """Base of each source's configuration, with defaults for most kinds.

    A kind adds `kind` (a literal, by which `components.ingest.sources` finds its family), `uri`
    (a field or a property) and `task` (the task of its truth).

    Attributes:
        is_raster: its images have bands and a georeference; else they are photographs.
        in_a_folder: it lies in a folder, which may also hold the marker of a complete upload.
    """

    is_raster: ClassVar[bool] = False
    in_a_folder: ClassVar[bool] = True

    @property
    def names_classes(self) -> bool:
        """The source names the classes of each image, so that splits can be stratified."""
        return False

    @property
    def has_truth(self) -> bool:
        """A model can be trained on the source."""
        return True

    def without_truth(self) -> "SourceOptions":
        """Returns the source of the same images without reading their truth; default: itself."""
        return self

    @property
    def mask_legend(self) -> ClassLegend | None:
        """Meaning of the pixels of masks, if each image has its own mask."""
        return None

    @property
    def legend_classes(self) -> tuple[str, ...]:
        """Classes that the legend of masks names; empty without one."""
        return () if self.mask_legend is None else self.mask_legend.class_names

    @property
    def slices(self) -> tuple[str, ...]:
        """Columns that statistics and metrics are sliced by."""
        return ()

    @property
    def for_tiles_alone(self) -> tuple[str, ...]:
        """Options in use that apply only to tiles, not to whole scenes."""
        return ()

    def input_paths(self) -> Iterator[InputPath]:
        """Yields the files and folders that a run reads."""
        yield from ()


class CorrectableSource(SourceOptions):
    """A source whose labels a table can correct."""

    corrections: Location | None = Field(
        default=None,
        description="table (.csv, .jsonl, .parquet) with the columns key and label: correct "
        "labels for some images, which replace those of the source",
    )

    def correction_paths(self) -> Iterator[InputPath]:
        """Yields the table, if there is one."""
        if self.corrections is not None:
            yield InputPath("corrections", self.corrections, "file")


def with_one_group(pattern: str | None) -> str | None:
    """Returns the pattern; raises ValueError unless it has one group in parentheses."""
    if pattern is not None and re.compile(pattern).groups != 1:
        raise ValueError("needs one group in parentheses")
    return pattern


def found_by(pattern: str | None, name: str) -> str | None:
    """Returns the text that a pattern's group matches in a name."""
    found = re.search(pattern, name) if pattern else None
    return found[1] if found else None
