"""Stop nodes: they raise a check's failures and do nothing else, so they need no retry.

They publish nothing. A node that must wait for a gate calls `add_upstream_node(stop)`.
"""

from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import BaseChannel
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from components.gate.artifact import PublishedReport, Rejects
from components.gate.executor import Executor


class StopSpec(ComponentSpec):
    PARAMETERS: dict[str, Any] = {}
    INPUTS = {"report": ChannelParameter(type=PublishedReport)}
    OUTPUTS: dict[str, Any] = {}


class StopOnRejectsSpec(ComponentSpec):
    PARAMETERS: dict[str, Any] = {}
    INPUTS = {"rejects": ChannelParameter(type=Rejects)}
    OUTPUTS: dict[str, Any] = {}


class Stop(BaseComponent):
    """Fails the run unless every finding of `report` has passed."""

    SPEC_CLASS = StopSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(self, report: BaseChannel[Any]) -> None:
        super().__init__(StopSpec(report=report))


class StopOnRejects(BaseComponent):
    """Fails the run when ingest has refused more than the configured fraction."""

    SPEC_CLASS = StopOnRejectsSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(self, rejects: BaseChannel[Any]) -> None:
        super().__init__(StopOnRejectsSpec(rejects=rejects))
