"""The metadata store of a cluster over gRPC, with ML Metadata itself behind it."""

from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from ml_metadata import MetadataStore
from ml_metadata.proto import (
    metadata_store_pb2,
    metadata_store_service_pb2,
    metadata_store_service_pb2_grpc,
)

from tests.kubeflow.launcher import CACHED, SUCCEEDED, Run, Task


@dataclass(frozen=True)
class Metadata:
    """A running store and its address."""

    store: MetadataStore
    address: str

    def record(self, run_id: str, run: Run, spec: dict[str, Any]) -> None:
        """Records a run as driver and launcher do: its context, executions and artifacts."""
        context_type = self.store.put_context_type(_typed("ContextType", "system.PipelineRun"))
        context = metadata_store_pb2.Context(type_id=context_type, name=run_id)
        [context.id] = self.store.put_contexts([context])
        kind = self.store.put_execution_type(_typed("ExecutionType", "system.ContainerExecution"))
        for name, task in run.items():
            if task.state in (SUCCEEDED, CACHED):
                outputs = spec["components"][f"comp-{name}"].get("outputDefinitions", {})
                self._put(name, kind, context, task, outputs.get("artifacts", {}))

    def _put(self, name: str, kind: int, context: Any, task: Task, outputs: dict) -> None:
        execution = metadata_store_pb2.Execution(type_id=kind)
        execution.custom_properties["display_name"].string_value = name
        pairs = []
        for key, found in task.artifacts.items():
            title = outputs[key]["artifactType"]["schemaTitle"]
            type_id = self.store.put_artifact_type(_typed("ArtifactType", title))
            artifact = metadata_store_pb2.Artifact(type_id=type_id, uri=found["uri"])
            for property_, value in found["metadata"].items():
                if isinstance(value, str):
                    artifact.custom_properties[property_].string_value = value
                elif isinstance(value, float):
                    artifact.custom_properties[property_].double_value = value
            event = metadata_store_pb2.Event(type=metadata_store_pb2.Event.OUTPUT)
            event.path.steps.add().key = key
            pairs.append((artifact, event))
        self.store.put_execution(execution, pairs, [context])


@contextmanager
def metadata_server() -> Iterator[Metadata]:
    """Runs a store in memory behind gRPC on a free port of loopback."""
    config = metadata_store_pb2.ConnectionConfig()
    config.fake_database.SetInParent()
    store = MetadataStore(config)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    add = metadata_store_service_pb2_grpc.add_MetadataStoreServiceServicer_to_server
    add(_Servicer(store), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield Metadata(store, f"127.0.0.1:{port}")
    finally:
        server.stop(None).wait()


class _Servicer:
    """Hands every call of the service to the store."""

    def __init__(self, store: MetadataStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[[Any, Any], Any]:
        response = getattr(metadata_store_service_pb2, f"{name}Response")

        def call(request: Any, context: Any) -> Any:
            answer = response()
            self._store._call(name, request, answer)
            return answer

        return call


def _typed(kind: str, name: str) -> Any:
    return getattr(metadata_store_pb2, kind)(name=name)
