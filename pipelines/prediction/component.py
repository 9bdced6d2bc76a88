"""The Predict node of the prediction pipeline."""

from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import Channel
from tfx.types.artifact import Artifact
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.gate.artifact import PublishedReport
from pipelines.prediction.config import PredictionConfig
from pipelines.prediction.executor import Executor


class Predictions(Artifact):
    """A folder with `predictions.json`, which names the folder of a run's predictions."""

    TYPE_NAME = "skymill.Predictions"


class PredictSpec(ComponentSpec):
    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        "model_base": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {
        "predictions": ChannelParameter(type=Predictions),
        "report": ChannelParameter(type=PublishedReport),
    }


class Predict(BaseBeamComponent):
    """Predicts an archive with a pushed model, into the configured output.

    Args:
        config: settings of the predictions, with the span and the model's version of this run.
        model_base: folder of the model's versions, unless the configuration names one.
        fingerprint: state of the source, for the lineage.
    """

    SPEC_CLASS = PredictSpec
    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(self, config: PredictionConfig, model_base: str, fingerprint: str) -> None:
        super().__init__(
            PredictSpec(
                config=config.model_dump_json(),
                model_base=model_base,
                fingerprint=fingerprint,
                predictions=Channel(type=Predictions),
                report=Channel(type=PublishedReport),
            )
        )
