"""`DataCheck` node: publishes the report that `Stop` then reads."""

from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import BaseChannel, standard_artifacts
from tfx.types.channel import Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.data_check.config import DataCheckConfig
from components.data_check.executor import Executor
from components.gate.artifact import Baseline, PublishedReport


class DataCheckSpec(ComponentSpec):
    PARAMETERS = {"config": ExecutionParameter(type=str)}
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies),
        "baseline": ChannelParameter(type=Baseline),
    }
    OUTPUTS = {"report": ChannelParameter(type=PublishedReport)}


class DataCheck(BaseComponent):
    """Judges `anomalies`, drift from `baseline` and skew between splits; output `report`.

    `examples` are read only to name those that break a rule. `baseline` is the version being
    served, with its training statistics in `version/provenance/Split-train/`, or nothing.
    """

    SPEC_CLASS = DataCheckSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel[Any],
        statistics: BaseChannel[Any],
        schema: BaseChannel[Any],
        anomalies: BaseChannel[Any],
        baseline: BaseChannel[Any],
        config: DataCheckConfig,
    ) -> None:
        super().__init__(
            DataCheckSpec(
                config=config.model_dump_json(),
                examples=examples,
                statistics=statistics,
                schema=schema,
                anomalies=anomalies,
                baseline=baseline,
                report=Channel(type=PublishedReport),
            )
        )
