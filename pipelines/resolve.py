"""What a run must know before it starts, because a cache key has to hold it."""

from dataclasses import dataclass

from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.raster_config import ClassTarget, TiledSource
from components.raster.errors import ConfigError
from components.schema.home import accepted_digest
from pipelines.config import PipelineConfig


@dataclass(frozen=True)
class RunInputs:
    """The state of the world outside the pipeline that its nodes depend on.

    Attributes:
        fingerprint: of the source: unchanged data is a cache hit, one changed byte is not.
        schema_sha256: of the accepted schema; empty while none is accepted.
    """

    fingerprint: str
    schema_sha256: str


def resolve(config: PipelineConfig) -> RunInputs:
    """Looks at the source and at the schema's home.

    Raises:
        DataError: the source cannot be read.
        ConfigError: the accepted schema is damaged, or the source tells no class to learn.
    """
    _require_classes(config)
    return RunInputs(
        fingerprint=fingerprint_dataset(config.ingest.source, config.ingest.split_by),
        schema_sha256=accepted_digest(config.schema_.home),
    )


def _require_classes(config: PipelineConfig) -> None:
    """Other truths go through ingest, statistics and look; what is trained is one class a tile."""
    source = config.ingest.source
    if not isinstance(source, TiledSource):
        return
    if source.labels is None or not isinstance(source.target, ClassTarget):
        found = "no labels" if source.labels is None else f"the target {source.target.to}"
        raise ConfigError(
            f"ingest.source: {found}; a run trains on one class a tile. Set labels, and target: "
            "{to: class}."
        )
