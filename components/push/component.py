"""Push node of the pipeline."""

from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import (
    ExampleStatistics,
    Model,
    ModelEvaluation,
    PushedModel,
    Schema,
)

from components.gate.artifact import Baseline, PublishedReport, Rejects
from components.push.card.config import About
from components.push.config import PushConfig
from components.push.executor import Executor


class PushSpec(ComponentSpec):
    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        "model_base": ExecutionParameter(type=str),
        "endpoint": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
        "span": ExecutionParameter(type=str),
        "about": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=Model),
        "evaluation": ChannelParameter(type=ModelEvaluation),
        "statistics": ChannelParameter(type=ExampleStatistics),
        "schema": ChannelParameter(type=Schema),
        "baseline": ChannelParameter(type=Baseline),
        "rejects": ChannelParameter(type=Rejects, optional=True),
        "data_report": ChannelParameter(type=PublishedReport, optional=True),
        "evaluation_report": ChannelParameter(type=PublishedReport, optional=True),
        "infra_report": ChannelParameter(type=PublishedReport, optional=True),
        "own_report": ChannelParameter(type=PublishedReport, optional=True),
    }
    OUTPUTS = {"pushed": ChannelParameter(type=PushedModel)}


class Push(BaseComponent):
    """Publishes a checked model as the next version, with its provenance; output `pushed`.

    `pushed` has the custom properties pushed_version, pushed (0 if the baseline holds the same
    model), pushed_destination, and warning, if something failed after the version was published.
    A failed report refuses the push, even without stop nodes. Because every run looks up
    `baseline` again, every run also executes this node.
    """

    SPEC_CLASS = PushSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: BaseChannel[Any],
        evaluation: BaseChannel[Any],
        statistics: BaseChannel[Any],
        schema: BaseChannel[Any],
        baseline: BaseChannel[Any],
        config: PushConfig,
        model_base: str,
        fingerprint: str,
        span: str = "",
        endpoint: str | None = None,
        about: About | None = None,
        rejects: BaseChannel[Any] | None = None,
        data_report: BaseChannel[Any] | None = None,
        evaluation_report: BaseChannel[Any] | None = None,
        infra_report: BaseChannel[Any] | None = None,
        own_report: BaseChannel[Any] | None = None,
    ) -> None:
        """Args: `model_base` and `endpoint` as for the Baseline node; `about` and `rejects`, from
        ingest, go into the model card."""
        super().__init__(
            PushSpec(
                config=config.model_dump_json(),
                model_base=model_base,
                endpoint=endpoint or "",
                fingerprint=fingerprint,
                span=span,
                about=(about or About()).model_dump_json(),
                rejects=rejects,
                model=model,
                evaluation=evaluation,
                statistics=statistics,
                schema=schema,
                baseline=baseline,
                data_report=data_report,
                evaluation_report=evaluation_report,
                infra_report=infra_report,
                own_report=own_report,
                pushed=Channel(type=PushedModel),
            )
        )
