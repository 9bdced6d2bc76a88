"""Configuration of chips."""

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from components.ingest.listing.config import MANIFEST_SUFFIXES, ManifestColumns
from components.ingest.rasters.config import RasterOptions
from components.ingest.records.source import CorrectableSource, InputPath
from components.raster.location import Location
from components.raster.task import Task
from components.raster.text import Encoding


class ChipsSource(RasterOptions, CorrectableSource):
    """Rasters that are already tiles, in class folders or named by a manifest."""

    kind: Literal["chips"] = "chips"
    uri: Location = Field(
        min_length=1,
        description="folder of class folders, or a manifest (.csv, .jsonl or .parquet)",
    )
    columns: ManifestColumns = Field(
        default=ManifestColumns(),
        description="columns of a manifest; for a folder, label: null says that the chips are "
        "anywhere below it and are not labelled",
    )
    encoding: Encoding | None = Field(
        default=None, description="text encoding of a manifest, as for the source manifest"
    )
    min_valid_fraction: float = Field(
        default=0.0, ge=0, le=1, description="chips with fewer valid pixels are rejected"
    )

    @model_validator(mode="after")
    def _has_no_masks(self) -> Self:
        if self.columns.mask is not None:
            raise ValueError("columns.mask is for photographs; masks of rasters go with scenes")
        return self

    @property
    def task(self) -> Task:
        """Classification in class folders; for a manifest the task of its columns."""
        return self.columns.task

    @property
    def has_truth(self) -> bool:
        """A column, or the folder of each chip, holds the truth."""
        return self.columns.has_truth

    def without_truth(self) -> "ChipsSource":
        """Returns only the chips."""
        return self.model_copy(
            update={"columns": self.columns.without_truth(), "corrections": None}
        )

    @property
    def in_manifest(self) -> bool:
        """A manifest names the chips."""
        return self.uri.lower().endswith(MANIFEST_SUFFIXES)

    @property
    def slices(self) -> tuple[str, ...]:
        """Columns of slices."""
        return self.columns.slices if self.in_manifest else ()

    def input_paths(self) -> Iterator[InputPath]:
        """Yields the folder or manifest."""
        yield InputPath("uri", self.uri, "file or folder")
        yield from self.correction_paths()
