"""First node of every pipeline: reads a source, writes examples and rejects."""

from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.types import channel_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.gate.artifact import Rejects
from components.ingest.config import IngestConfig
from components.ingest.executor import Executor


class IngestSpec(ComponentSpec):
    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "rejects": ChannelParameter(type=Rejects),
    }


class Ingest(BaseBeamComponent):
    """Converts the configured source to the form of the example spec.

    Args:
        config: of ingest.
        fingerprint: `fingerprint_dataset(config.source)`, taken before the pipeline starts: on
            every orchestrator, it makes unchanged data a cache hit and changed data a miss.
    """

    SPEC_CLASS = IngestSpec
    EXECUTOR_SPEC = BeamExecutorSpec(Executor)

    def __init__(self, config: IngestConfig, fingerprint: str) -> None:
        super().__init__(
            IngestSpec(
                config=config.model_dump_json(),
                fingerprint=fingerprint,
                examples=channel_utils.as_channel([standard_artifacts.Examples()]),
                rejects=channel_utils.as_channel([Rejects()]),
            )
        )
