"""`Schema` node: SchemaGen's schema until one is accepted, then the accepted one."""

from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import BaseChannel, standard_artifacts
from tfx.types.channel import Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.schema.config import SchemaConfig
from components.schema.executor import Executor


class SchemaSpec(ComponentSpec):
    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        "accepted_sha256": ExecutionParameter(type=str),
    }
    INPUTS = {"statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics)}
    OUTPUTS = {"schema": ChannelParameter(type=standard_artifacts.Schema)}


class Schema(BaseComponent):
    """The schema by which a run is judged; output `schema`, like SchemaGen's.

    `accepted_sha256` is `components.schema.schema_store.accepted_digest(config.home)`, resolved
    before the run starts. The artifact's custom property `inferred` is 1 while nothing is accepted.
    """

    SPEC_CLASS = SchemaSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self, statistics: BaseChannel[Any], config: SchemaConfig, accepted_sha256: str
    ) -> None:
        super().__init__(
            SchemaSpec(
                config=config.model_dump_json(),
                accepted_sha256=accepted_sha256,
                statistics=statistics,
                schema=Channel(type=standard_artifacts.Schema),
            )
        )
