"""What the columns of a manifest mean."""

from typing import Self

from pydantic import Field, model_validator

from components.raster.frozen import Frozen


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
