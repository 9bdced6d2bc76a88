"""What a run must know before it starts, because a cache key has to hold it."""

from dataclasses import dataclass

from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.raster_config import TiledSource
from components.ingest.span_choice import choose_span
from components.raster.errors import ConfigError
from components.schema.home import accepted_digest
from pipelines.config import PipelineConfig
from trainer.models.config import Backbone, Preset, is_folder


@dataclass(frozen=True)
class RunInputs:
    """The state of the world outside the pipeline that its nodes depend on.

    Attributes:
        fingerprint: of the source: unchanged data is a cache hit, one changed byte is not.
        schema_sha256: of the accepted schema; empty while none is accepted.
        span: the name of the span that is read; empty where the source has none.
    """

    fingerprint: str
    schema_sha256: str
    span: str = ""


def at_span(config: PipelineConfig) -> PipelineConfig:
    """The configuration of one run: its source is the span that the run reads.

    Raises:
        DataError: no such span is there.
        ConfigError: a span is asked for and the source has no pattern.
    """
    return config.model_copy(update={"ingest": choose_span(config.ingest)})


def resolve(config: PipelineConfig) -> RunInputs:
    """Looks at the source (of one span, `at_span`) and at the schema's home.

    Raises:
        DataError: the source cannot be read.
        ConfigError: the accepted schema is damaged, the source tells nothing to learn, or the
            network to train has a name that nothing has.
    """
    _require_truth(config)
    _require_network(config)
    return RunInputs(
        fingerprint=fingerprint_dataset(config.ingest.source, config.ingest.split_by),
        schema_sha256=accepted_digest(config.schema_.home),
        span="" if config.ingest.span is None else str(config.ingest.span),
    )


def _require_truth(config: PipelineConfig) -> None:
    """Tiles without truth go through ingest, statistics and look; nothing can be learnt of them."""
    source = config.ingest.source
    if isinstance(source, TiledSource) and source.labels is None:
        raise ConfigError("ingest.source: no labels; a run needs truth to learn. Set labels.")


def _require_network(config: PipelineConfig) -> None:
    """A misspelt name is told now and not when the data have been read."""
    model = config.train.model
    if isinstance(model, Backbone):
        from trainer.models.backbone import require_backbone  # seconds to load

        require_backbone(model.name)
    elif isinstance(model, Preset) and not is_folder(model.preset):
        from trainer.models.preset import require_preset

        require_preset(model.preset)
