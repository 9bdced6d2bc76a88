"""Inputs that are resolved before a run starts, because cache keys depend on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.ingest.choose_span import choose_span
from components.ingest.fingerprint import fingerprint_dataset
from components.schema.schema_store import accepted_digest
from pipelines.config.tree import PipelineConfig
from pipelines.definition.extensions import identities


@dataclass(frozen=True)
class RunInputs:
    """External state that the pipeline's nodes depend on.

    Attributes:
        fingerprint: of the source; unchanged data are a cache hit, one changed byte is a miss.
        schema_sha256: of the accepted schema; empty while none is accepted.
        span: name of the span to read; empty for a source without spans.
        code: identity of the user's own code, by its key.
    """

    fingerprint: str
    schema_sha256: str
    span: str = ""
    code: Mapping[str, str] = field(default_factory=dict)


def at_span(config: PipelineConfig) -> PipelineConfig:
    """Returns the configuration of one run, whose source is the span that the run reads.

    Raises:
        DataError: the span does not exist.
        ConfigError: a span is requested and the source has no span pattern.
    """
    return config.model_copy(update={"ingest": choose_span(config.ingest)})


def resolve(config: PipelineConfig) -> RunInputs:
    """Reads the state of the source (of one span, see `at_span`) and of the accepted schema.

    Raises:
        DataError: the source cannot be read.
        ConfigError: the accepted schema is damaged, or a package of the user's is missing.
    """
    return RunInputs(
        fingerprint=fingerprint_dataset(config.ingest.source, config.ingest.split_by),
        schema_sha256=accepted_digest(config.schema_.home),
        span="" if config.ingest.span is None else str(config.ingest.span),
        code=identities(config),
    )
