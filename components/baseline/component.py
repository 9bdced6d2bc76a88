"""Baseline node of the pipeline."""

from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.baseline.config import BaselineConfig
from components.baseline.executor import Executor
from components.gate.artifact import Baseline as BaselineArtifact

#: TFX's name for the run's id, which its runners fill in when the run starts.
_RUN_ID = "pipeline-run-id"


class BaselineSpec(ComponentSpec):
    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        "model_base": ExecutionParameter(type=str),
        "nonce": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {"baseline": ChannelParameter(type=BaselineArtifact)}


class Baseline(BaseComponent):
    """Version that is served when the node runs; output `baseline`.

    It depends on state outside the pipeline, which is not part of the cache key, and TFX can
    disable its cache only for a whole pipeline. The nonce represents that state: either its name,
    so that unchanged state gives a cache hit, or a value unique to the run, which keeps only this
    node out of the cache.
    """

    SPEC_CLASS = BaselineSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        model_base: str,
        config: BaselineConfig,
        nonce: str | RuntimeParameter | None = None,
    ) -> None:
        """Initializes the node.

        Args:
            model_base: `<model_dir>/<name>`.
            config: the source of the served version's number.
            nonce: a name from `serving.store.served.served_state`; default: the run's id.
        """
        run_id: Any = RuntimeParameter(name=_RUN_ID, ptype=str)
        super().__init__(
            BaselineSpec(
                config=config.model_dump_json(),
                model_base=model_base,
                nonce=nonce or run_id,
                baseline=Channel(type=BaselineArtifact),
            )
        )
