"""Base of the executors: TFX's call with its artifacts by name."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import Artifact, artifact_utils

from components.node.beam import make_pipeline


class Artifacts(Mapping[str, Artifact]):
    """The artifacts of a node's inputs or outputs, one for each name.

    An optional input without an artifact is not contained.
    """

    def __init__(self, artifacts: Mapping[str, list[Artifact]]) -> None:
        self._artifacts = {name: found for name, found in artifacts.items() if found}

    def __getitem__(self, name: str) -> Artifact:
        return artifact_utils.get_single_instance(self._artifacts[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._artifacts)

    def __len__(self) -> int:
        return len(self._artifacts)

    def uri(self, name: str) -> str:
        """Returns the folder of an artifact."""
        return str(self[name].uri)


class _Node(ABC):
    """Logs TFX's call, as TFX's own executors do, and passes it on."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Executes the node."""
        self._log_startup(input_dict, output_dict, exec_properties)  # type: ignore[attr-defined]
        self.execute(Artifacts(input_dict), Artifacts(output_dict), exec_properties)

    @abstractmethod
    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Reads the inputs and properties, and fills the outputs."""


class NodeExecutor(_Node, BaseExecutor):
    """Executor of a node that runs in this process."""


class BeamNodeExecutor(_Node, BaseBeamExecutor):
    """Executor of a node that makes Beam pipelines."""

    def __init__(self, context: BaseBeamExecutor.Context | None = None) -> None:
        # TFX's own constructor packs its installation as a dependency of remote workers, even if
        # there are none: 52 MB of temporary files that stay. Remote workers need Skymill, and TFX
        # comes with it in their image.
        super(BaseBeamExecutor, self).__init__(context)
        self._beam_pipeline_args = list(context.beam_pipeline_args or ()) if context else []
        self._make_beam_pipeline_fn = context.make_beam_pipeline_fn if context else None

    def _make_beam_pipeline(self) -> beam.Pipeline:
        given = self._make_beam_pipeline_fn
        return given() if given else make_pipeline(self._beam_pipeline_args)
