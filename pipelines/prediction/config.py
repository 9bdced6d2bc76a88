"""Configuration of predictions over an archive."""

import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.ingest.config import SourceConfig
from components.mapping.config import MapConfig
from components.raster.frozen import Frozen
from components.raster.location import Location

Format = Literal["parquet", "tfrecord", "maps"]


class StreamInput(Frozen):
    """Arrival of images at `skymill stream`; by default a folder is watched."""

    messages: Literal["addresses", "images"] = Field(
        default="addresses",
        description="What messages hold: the address of an image below the source, or the bytes "
        "of its file. Messages of images come from a broker, or locally from files of JSON lines.",
    )
    pubsub: str | None = Field(
        default=None, description="A subscription of Pub/Sub, projects/.../subscriptions/..."
    )
    kafka: str | None = Field(
        default=None, description="Servers of Kafka, HOST:PORT, with commas between them."
    )
    topic: str | None = Field(default=None, description="Of kafka.")
    group: str = Field(
        default="skymill",
        min_length=1,
        description="Consumer group of kafka. A stream begins where its committed offsets say, if "
        "there are any; it commits none itself.",
    )
    begin: Literal["oldest", "newest"] = Field(
        default="oldest",
        description="Where a stream of kafka begins in a topic without offsets of the group: with "
        "the oldest message, so that none is lost, or with those that come after the start.",
    )

    @model_validator(mode="after")
    def _is_one_broker(self) -> Self:
        if bool(self.kafka) != bool(self.topic) or (self.pubsub and self.kafka):
            raise ValueError("kafka and topic go together, and without pubsub")
        return self

    @property
    def has_broker(self) -> bool:
        """Messages come from elsewhere."""
        return bool(self.pubsub or self.kafka)


class PredictionConfig(Frozen):
    """From an archive of images to the predictions of a pushed model.

    >>> source = {"kind": "folders", "uri": "/data/archive"}
    >>> PredictionConfig.model_validate({"source": source, "format": "tfrecord"}).output
    'predictions'
    """

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
    take_over: bool = Field(
        default=True,
        description="Copy the answers of the newest finished run of the same model and settings "
        "for images that have not changed since, and predict the others alone.",
    )
    map: MapConfig = Field(default=MapConfig(), description="Of format maps: how they are made.")
    stream: StreamInput = StreamInput()

    def without_truth(self) -> Self:
        """Returns the settings with a source whose truth is not read."""
        return self.model_copy(update={"source": self.source.without_truth()})

    @property
    def split_by(self) -> None:
        """No splits are drawn."""
        return None
