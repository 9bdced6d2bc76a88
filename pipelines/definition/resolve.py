"""Inputs that are resolved before a run starts, because cache keys depend on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.ingest.choose_span import choose_span
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.source_state import source_state
from components.raster.errors import ConfigError
from components.schema.schema_store import accepted_digest
from pipelines.config.tree import PipelineConfig
from pipelines.definition.extensions import identities
from pipelines.prediction.config import PredictionConfig
from pipelines.prediction.model import find_model


@dataclass(frozen=True)
class RunInputs:
    """External state that the pipeline's nodes depend on.

    Attributes:
        fingerprint: of the source's data: unchanged data are a cache hit, one changed byte a miss.
        schema_sha256: digest of the accepted schema; empty while none is accepted.
        span: name of the span to read; empty for a source without spans.
        code: identity of the user's own code, by its key.
        served: name of the state of the served model; empty where it has none, and then the
            baseline is looked up anew in every run.
    """

    fingerprint: str
    schema_sha256: str
    span: str = ""
    code: Mapping[str, str] = field(default_factory=dict)
    served: str = ""


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


def prediction_of(config: PipelineConfig) -> PredictionConfig:
    """Returns the section of predictions.

    Raises:
        ConfigError: there is none.
    """
    if config.prediction is None:
        raise ConfigError(
            "prediction: is missing. Write the section, with the source of the archive and its "
            "output."
        )
    return config.prediction


def at_prediction_start(config: PipelineConfig) -> PipelineConfig:
    """Returns the configuration of one run of predictions: its span, and the newest model.

    Raises:
        DataError: the span does not exist, or no model was pushed.
        ConfigError: a span is requested and the source has no span pattern.
    """
    chosen = choose_span(prediction_of(config).without_truth())
    model, _ = find_model(chosen.model_base or config.model_base, chosen.model_version)
    pinned = chosen.model_copy(update={"model_version": model.version})
    return config.model_copy(update={"prediction": pinned})


def resolve_prediction(config: PipelineConfig) -> RunInputs:
    """Reads the state of the archive's files, not their content.

    Raises:
        DataError: the source cannot be read.
    """
    section = prediction_of(config)
    return RunInputs(
        fingerprint=source_state(section.source).token,
        schema_sha256="",
        span="" if section.span is None else str(section.span),
    )
