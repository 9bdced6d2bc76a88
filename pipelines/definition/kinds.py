"""The pipelines that a configuration defines: training, and predictions over an archive."""

from typing import TYPE_CHECKING, Literal

from pipelines.config.tree import PipelineConfig
from pipelines.definition.resolve import (
    RunInputs,
    at_prediction_start,
    at_span,
    prediction_of,
    resolve,
    resolve_prediction,
)

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

Kind = Literal["training", "prediction"]


def name_of(config: PipelineConfig, kind: Kind) -> str:
    """Returns the pipeline's name."""
    return config.name if kind == "training" else f"{config.name}-prediction"


def require_runnable(config: PipelineConfig, kind: Kind) -> None:
    """Refuses, before a run starts, what would otherwise stop it later.

    Raises:
        ConfigError: there is nothing to learn, no such network, or nothing to predict.
    """
    from pipelines.definition.learnable import require_learnable

    if kind == "training":
        require_learnable(config)
    else:
        prediction_of(config)


def at_start(config: PipelineConfig, kind: Kind) -> PipelineConfig:
    """Returns the configuration of one run: with its span, and for predictions the model's version.

    Raises:
        DataError: there is no such span, or no model.
        ConfigError: a span is requested and the source has no pattern.
    """
    return at_span(config) if kind == "training" else at_prediction_start(config)


def inputs_of(config: PipelineConfig, kind: Kind) -> RunInputs:
    """Reads the external state that the pipeline's nodes depend on; see `at_start`.

    Raises:
        DataError: the source cannot be read.
        ConfigError: the accepted schema is damaged, or a package of the user's is missing.
    """
    return resolve(config) if kind == "training" else resolve_prediction(config)


def create(config: PipelineConfig, inputs: RunInputs, kind: Kind) -> "Pipeline":
    """Builds the TFX pipeline; TFX is loaded."""
    from pipelines.definition.prediction import create_prediction_pipeline
    from pipelines.definition.training import create_pipeline

    build = create_pipeline if kind == "training" else create_prediction_pipeline
    return build(config, inputs)
