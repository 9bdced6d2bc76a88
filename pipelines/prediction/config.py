"""Configuration of predictions over an archive."""

import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from components.ingest.config import SourceConfig
from components.mapping.config import MapConfig
from components.raster.frozen import Frozen
from components.raster.location import Location

Format = Literal["parquet", "tfrecord", "maps"]


class PredictionConfig(Frozen):
    """From an archive of images to the predictions of a pushed model."""

    source: SourceConfig = Field(
        description="Where images come from, as in ingest; their truth is not read."
    )
    span: Annotated[int, Field(ge=0)] | datetime.date | None = Field(
        default=None, description="Which span of the source, as in ingest."
    )
    output: Location = Field(
        default="predictions",
        description="Folder, or gs://, s3://, az://, that receives a folder for each run.",
    )
    format: Format = Field(
        default="parquet",
        description="parquet: a row for each image or tile; tfrecord: a tf.Example for each; maps: "
        "a map of each scene (see skymill map).",
    )
    model_base: Location | None = Field(
        default=None,
        description="Folder of pushed versions, or a SavedModel; default: where this "
        "configuration pushes.",
    )
    model_version: int | None = Field(
        default=None, ge=0, description="A version; default: the newest when a run starts."
    )
    batch: int = Field(default=32, ge=1, le=4096, description="Images that the model gets at once.")
    shards: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Files of predictions, and units of work; default: by the number of images.",
    )
    max_reject_fraction: float = Field(
        default=0.05, ge=0, le=1, description="Above it the pipeline's run is stopped at its end."
    )
    map: MapConfig = Field(default=MapConfig(), description="Of format maps: how they are made.")

    def without_truth(self) -> Self:
        """Returns the settings with a source whose truth is not read."""
        return self.model_copy(update={"source": self.source.without_truth()})

    @property
    def split_by(self) -> None:
        """No splits are drawn."""
        return None
