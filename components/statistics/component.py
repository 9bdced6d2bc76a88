"""`Statistics` node: StatisticsGen's output, without reading an image."""

from typing import Any

from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import BaseChannel, standard_artifacts
from tfx.types.channel import Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.statistics.config import StatisticsConfig
from components.statistics.executor import Executor


class StatisticsSpec(ComponentSpec):
    PARAMETERS = {"config": ExecutionParameter(type=str)}
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema, optional=True),
    }
    OUTPUTS = {"statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics)}


class Statistics(BaseBeamComponent):
    """Statistics of every split of `examples`; output `statistics`, like StatisticsGen's.

    With a `schema`, they include what TFDV derives from it (such as integers that are categories).
    """

    SPEC_CLASS = StatisticsSpec
    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel[Any],
        config: StatisticsConfig,
        schema: BaseChannel[Any] | None = None,
    ) -> None:
        super().__init__(
            StatisticsSpec(
                config=config.model_dump_json(),
                examples=examples,
                schema=schema,
                statistics=Channel(type=standard_artifacts.ExampleStatistics),
            )
        )
