"""What ingest reads and how: the part of the configuration that is declared beside its code."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.raster.frozen import Frozen
from components.raster.image import ImageSpec
from components.raster.location import Location
from components.raster.split import SplitConfig


class FoldersSource(Frozen):
    """Class folders: `<uri>/<class>/**` holds the images of a class."""

    kind: Literal["folders"] = "folders"
    uri: Location = Field(min_length=1, description="path or uri of the folder of class folders")


class ManifestColumns(Frozen):
    """Which column of a manifest says what."""

    uri: str = Field(
        default="uri", description="absolute, remote, or relative to the manifest's own folder"
    )
    label: str | None = Field(default="label", description="the class of each image")
    labels: str | None = Field(
        default=None,
        description="several classes of each image: a list, or text with | between them",
    )
    split: str | None = Field(default=None, description="train, eval or test; empty: drawn")
    group: str | None = Field(default=None, description="what must share one split")
    slices: tuple[str, ...] = Field(default=(), description="columns to slice statistics by")

    @model_validator(mode="after")
    def _one_meaning_each(self) -> Self:
        if self.label is None and self.labels is None:
            raise ValueError("columns.label or columns.labels must name the column of the classes")
        return self


class ManifestSource(Frozen):
    """A table with a row an image: CSV with a header, JSON Lines, or Parquet, by its suffix."""

    kind: Literal["manifest"] = "manifest"
    uri: Location = Field(min_length=1, description="path or uri of a .csv, .jsonl or .parquet")
    columns: ManifestColumns = ManifestColumns()


# Another kind of source joins here and in `listing.py`; whatever comes after is the same for all.
SourceConfig = Annotated[FoldersSource | ManifestSource, Field(discriminator="kind")]


class IngestConfig(Frozen):
    """From a source to examples and rejects."""

    source: SourceConfig
    image: ImageSpec = ImageSpec()
    split: SplitConfig = SplitConfig()
    classes: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="the classes, in the order of their indices; default: those seen, sorted",
    )
    features: bool = Field(
        default=True,
        description="decode every image and compute its scalar features; without them plain files "
        "are checked by their structure alone",
    )
    max_reject_fraction: float = Field(
        default=0.05, ge=0, le=1, description="above it the run stops; 1 never stops"
    )
    shards: int | None = Field(
        default=None, ge=1, le=10_000, description="files a split; default: by the number of images"
    )

    @model_validator(mode="after")
    def _classes_differ(self) -> Self:
        if self.classes is not None and len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes names a class twice: {', '.join(self.classes)}")
        return self
