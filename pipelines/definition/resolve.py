"""What a run must know before it starts, because a cache key has to hold it."""

from dataclasses import dataclass

from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.span_choice import choose_span
from components.schema.home import accepted_digest
from pipelines.config.tree import PipelineConfig


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
        ConfigError: the accepted schema is damaged.
    """
    return RunInputs(
        fingerprint=fingerprint_dataset(config.ingest.source, config.ingest.split_by),
        schema_sha256=accepted_digest(config.schema_.home),
        span="" if config.ingest.span is None else str(config.ingest.span),
    )
