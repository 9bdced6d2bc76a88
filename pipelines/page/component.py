"""The RunPage node; it belongs to the pipeline, since it reads the results of all nodes."""

from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import BaseChannel, Channel
from tfx.types.artifact import Artifact
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.types.standard_artifacts import (
    Examples,
    ExampleStatistics,
    Model,
    ModelEvaluation,
    ModelRun,
)

from components.gate.artifact import Baseline, PublishedReport, Rejects
from pipelines.page.executor import Executor


class Page(Artifact):
    """A folder with `page.html`, the evidence that it draws, and a map's GeoJSON."""

    TYPE_NAME = "skymill.Page"


class RunPageSpec(ComponentSpec):
    PARAMETERS = {
        "title": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=Examples),
        "rejects": ChannelParameter(type=Rejects),
        "baseline": ChannelParameter(type=Baseline, optional=True),
        "statistics": ChannelParameter(type=ExampleStatistics),
        "data_report": ChannelParameter(type=PublishedReport),
        "model": ChannelParameter(type=Model),
        "model_run": ChannelParameter(type=ModelRun),
        "evaluation": ChannelParameter(type=ModelEvaluation),
        "evaluation_report": ChannelParameter(type=PublishedReport),
    }
    OUTPUTS = {"page": ChannelParameter(type=Page)}


class RunPage(BaseComponent):
    """Node that summarises a run once its model is evaluated, before a gate can stop it."""

    SPEC_CLASS = RunPageSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        title: str,
        fingerprint: str,
        examples: BaseChannel[Any],
        rejects: BaseChannel[Any],
        statistics: BaseChannel[Any],
        baseline: BaseChannel[Any],
        data_report: BaseChannel[Any],
        model: BaseChannel[Any],
        model_run: BaseChannel[Any],
        evaluation: BaseChannel[Any],
        evaluation_report: BaseChannel[Any],
    ) -> None:
        super().__init__(
            RunPageSpec(
                title=title,
                fingerprint=fingerprint,
                examples=examples,
                rejects=rejects,
                statistics=statistics,
                baseline=baseline,
                data_report=data_report,
                model=model,
                model_run=model_run,
                evaluation=evaluation,
                evaluation_report=evaluation_report,
                page=Channel(type=Page),
            )
        )
