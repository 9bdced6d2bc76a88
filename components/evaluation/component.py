"""Evaluation node of the pipeline."""

from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples, Model, ModelEvaluation

from components.evaluation.config import EvaluationConfig
from components.evaluation.executor import Executor
from components.gate.artifact import Baseline, PublishedReport


class EvaluationSpec(ComponentSpec):
    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        # Identity of the user's code, only for the cache key.
        "code": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "examples": ChannelParameter(type=Examples),
        "model": ChannelParameter(type=Model),
        "baseline": ChannelParameter(type=Baseline, optional=True),
    }
    OUTPUTS = {
        "evaluation": ChannelParameter(type=ModelEvaluation),
        "report": ChannelParameter(type=PublishedReport),
    }


class Evaluation(BaseBeamComponent):
    """Measures a model on one split with TFMA, with the baseline, and applies the thresholds.

    Outputs: `evaluation`, which `tfma.load_eval_result` reads, with `metrics.json` and
    `predictions.parquet`; and `report` for a Stop node.
    """

    SPEC_CLASS = EvaluationSpec
    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        model: BaseChannel,
        config: EvaluationConfig,
        baseline: BaseChannel | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(
            EvaluationSpec(
                config=config.model_dump_json(),
                code=code,
                examples=examples,
                model=model,
                baseline=baseline,
                evaluation=Channel(type=ModelEvaluation),
                report=Channel(type=PublishedReport),
            )
        )
