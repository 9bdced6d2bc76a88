"""The OwnGates node; it belongs to the pipeline, since it reads the results of many nodes."""

from collections.abc import Sequence
from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import ExampleStatistics, ModelEvaluation

from components.gate.artifact import PublishedReport, Rejects
from pipelines.config.gates import CustomGate
from pipelines.gates.executor import GATES, Executor


class OwnGatesSpec(ComponentSpec):
    PARAMETERS = {
        "gates": ExecutionParameter(type=str),
        # Identity of the user's own code, for the cache key alone.
        "code": ExecutionParameter(type=str),
    }
    INPUTS = {
        "rejects": ChannelParameter(type=Rejects),
        "statistics": ChannelParameter(type=ExampleStatistics),
        "data_report": ChannelParameter(type=PublishedReport),
        "evaluation": ChannelParameter(type=ModelEvaluation),
        "evaluation_report": ChannelParameter(type=PublishedReport),
    }
    OUTPUTS = {"report": ChannelParameter(type=PublishedReport)}


class OwnGates(BaseComponent):
    """Node that calls the user's own gates. Output: `report`, for a Stop node."""

    SPEC_CLASS = OwnGatesSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        gates: Sequence[CustomGate],
        code: str,
        rejects: BaseChannel[Any],
        statistics: BaseChannel[Any],
        data_report: BaseChannel[Any],
        evaluation: BaseChannel[Any],
        evaluation_report: BaseChannel[Any],
    ) -> None:
        super().__init__(
            OwnGatesSpec(
                gates=GATES.dump_json(tuple(gates)).decode(),
                code=code,
                rejects=rejects,
                statistics=statistics,
                data_report=data_report,
                evaluation=evaluation,
                evaluation_report=evaluation_report,
                report=Channel(type=PublishedReport),
            )
        )
