"""InfraCheck node of the pipeline."""

from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import Examples, Model

from components.gate.artifact import PublishedReport
from components.infra_check.config import InfraCheckConfig
from components.infra_check.executor import Executor


class InfraCheckSpec(ComponentSpec):
    PARAMETERS = {"config": ExecutionParameter(type=str)}
    INPUTS = {
        "model": ChannelParameter(type=Model),
        "examples": ChannelParameter(type=Examples),
    }
    OUTPUTS = {
        "checked": ChannelParameter(type=Model),
        "report": ChannelParameter(type=PublishedReport),
    }


class InfraCheck(BaseComponent):
    """Tests a model on a server, over sockets, with real images.

    Outputs: `checked`, the model with its warm-up requests: the folder that was tested and is to be
    pushed; and `report` for a Stop node.
    """

    SPEC_CLASS = InfraCheckSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self, model: BaseChannel[Any], examples: BaseChannel[Any], config: InfraCheckConfig
    ) -> None:
        super().__init__(
            InfraCheckSpec(
                config=config.model_dump_json(),
                model=model,
                examples=examples,
                checked=Channel(type=Model),
                report=Channel(type=PublishedReport),
            )
        )
