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
    """Input of `skymill stream`; by default it watches a folder."""

    messages: Literal["addresses", "images"] = Field(
        default="addresses",
        description="Content of messages: the address of an image below the source, or the "
        "bytes of its file. Messages with images come from a broker, or locally "
        "from files of JSON lines.",
    )
    pubsub: str | None = Field(
        default=None, description="Pub/Sub subscription, projects/.../subscriptions/..."
    )
    kafka: str | None = Field(
        default=None, description="Kafka servers, HOST:PORT, separated by commas."
    )
    topic: str | None = Field(default=None, description="Topic of kafka.")
    group: str = Field(
        default="skymill",
        min_length=1,
        description="Consumer group of kafka. A stream begins at the group's committed offsets,"
        " if there are any; it commits none itself.",
    )
    begin: Literal["oldest", "newest"] = Field(
        default="oldest",
        description="Where a stream of kafka begins if the group has no offsets: with the "
        "oldest message, so that none is lost, or with messages that arrive after "
        "the start.",
    )

    @model_validator(mode="after")
    def _is_one_broker(self) -> Self:
        if bool(self.kafka) != bool(self.topic) or (self.pubsub and self.kafka):
            raise ValueError("give kafka and topic together, and without pubsub")
        return self

    @property
    def has_broker(self) -> bool:
        """True if messages come from a broker."""
        return bool(self.pubsub or self.kafka)


class PredictionConfig(Frozen):
    """Predictions of a pushed model over an archive of images.

    >>> source = {"kind": "folders", "uri": "/data/archive"}
    >>> PredictionConfig.model_validate({"source": source, "format": "tfrecord"}).output
    'predictions'
    """

    source: SourceConfig = Field(
        description="Where images come from, as in ingest; their truth is ignored."
    )
    span: Annotated[int, Field(ge=0)] | datetime.date | None = Field(
        default=None, description="Span of the source, as in ingest."
    )
    output: Location = Field(
        default="predictions",
        description="Folder, or gs://, s3://, az://, in which each run creates a folder.",
    )
    format: Format = Field(
        default="parquet",
        description="parquet: one row per image or tile; tfrecord: one tf.Example each; maps: a"
        " map of each scene (see skymill map).",
    )
    model_base: Location | None = Field(
        default=None,
        description="Folder of pushed versions, or a SavedModel; default: where this "
        "configuration pushes.",
    )
    model_version: int | None = Field(
        default=None, ge=0, description="A version; default: the newest when a run starts."
    )
    batch: int = Field(default=32, ge=1, le=4096, description="Number of images in a batch.")
    shards: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Number of files of predictions, which are also the units of work; default:"
        " by the number of images.",
    )
    max_reject_fraction: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of rejects above which the pipeline's run is stopped at its end.",
    )
    take_over: bool = Field(
        default=True,
        description="For images that have not changed, copy the answers of the newest finished "
        "run with the same model and settings, and predict only the others.",
    )
    map: MapConfig = Field(
        default=MapConfig(), description="For the format maps: settings of the maps."
    )
    stream: StreamInput = StreamInput()

    def without_truth(self) -> Self:
        """Returns the settings with a source whose truth is not read."""
        return self.model_copy(update={"source": self.source.without_truth()})

    @property
    def split_by(self) -> None:
        """None, since predictions need no splits."""
        return None
