"""Metrics of a run, from the metadata store of releases up to 2.17.

Their API server reports the state of steps but not their outputs: metrics are properties of
artifacts in ML Metadata, which the cluster serves over gRPC (`metadata-grpc-service`, port 8080).
"""

from collections.abc import Iterator
from typing import Any

from components.raster.errors import ConfigError
from pipelines.kubeflow.client.errors import KubeflowError

#: The backend's types of a run and of metrics.
_RUN, _METRICS = "system.PipelineRun", "system.Metrics"
#: Keys that the backend adds to an artifact's metadata.
_INTERNAL = ("display_name", "store_session_info")
_TIMEOUT_S = 30.0


def run_metrics(address: str, run_id: str) -> dict[str, float]:
    """Returns the metrics of a run, merged over its steps.

    Args:
        address: `host:port` of the metadata store.
        run_id: the run.

    Raises:
        ConfigError: there is no address.
        KubeflowError: the store cannot be reached, or does not know the run.
    """
    from ml_metadata import errors

    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise no_address(address)
    try:
        store = _store(host, int(port))
        context = store.get_context_by_type_and_name(_RUN, run_id)
        if context is None:
            raise KubeflowError(f"{address}: the metadata store knows no run {run_id}")
        found: dict[str, float] = {}
        for artifact in _outputs(store, context.id):
            if artifact.type == _METRICS:
                found |= _numbers(artifact)
        return found
    except errors.StatusError as error:
        raise KubeflowError(
            f"cannot read metrics: the metadata store at {address} answered: {error}",
            transient=isinstance(error, errors.UnavailableError),
        ) from error


def no_address(address: str) -> ConfigError:
    """Returns the error for a missing or wrong address of the metadata store."""
    return ConfigError(
        f"the metadata store's address is {address!r}: this server keeps metrics there, so they "
        "need HOST:PORT, for instance 127.0.0.1:8080 behind\n"
        "  kubectl -n kubeflow port-forward service/metadata-grpc-service 8080:8080"
    )


def _store(host: str, port: int) -> Any:
    from ml_metadata import MetadataStore
    from ml_metadata.proto import metadata_store_pb2

    return MetadataStore(
        metadata_store_pb2.MetadataStoreClientConfig(
            host=host, port=port, client_timeout_sec=_TIMEOUT_S
        )
    )


def _outputs(store: Any, context_id: int) -> Iterator[Any]:
    """Yields the output artifacts of the run's steps, including cached ones."""
    from ml_metadata.proto import metadata_store_pb2

    executions = [one.id for one in store.get_executions_by_context(context_id)]
    events = store.get_events_by_execution_ids(executions) if executions else []
    given_out = {
        event.artifact_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT
    }
    yield from store.get_artifacts_by_id(sorted(given_out)) if given_out else []


def _numbers(artifact: Any) -> dict[str, float]:
    values = {
        name: value.double_value if value.HasField("double_value") else value.int_value
        for name, value in artifact.custom_properties.items()
        if name not in _INTERNAL and value.WhichOneof("value") in ("double_value", "int_value")
    }
    return {name: float(value) for name, value in sorted(values.items())}
