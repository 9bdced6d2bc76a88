"""The gRPC service of ML Metadata, over its own store in a file of SQLite.

The library of Python holds the C++ store and no server; Kubeflow's driver and launcher ask one.
"""

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from ml_metadata.metadata_store.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_service_pb2
from tfx.orchestration.metadata import sqlite_metadata_connection_config

_FILTER = re.compile(r"custom_properties\.(?P<name>\w+)\.int_value = (?P<value>\d+)")
_CODES = {code.value[0]: code for code in grpc.StatusCode}


@contextmanager
def metadata_service(port: int, path: Path) -> Iterator[None]:
    """Serves a store on loopback for as long as the context lasts."""
    config = sqlite_metadata_connection_config(str(path))
    methods = _methods(MetadataStore(config))
    service = metadata_store_service_pb2.DESCRIPTOR.services_by_name["MetadataStoreService"]
    server = grpc.server(ThreadPoolExecutor(4))
    handler = grpc.method_handlers_generic_handler(service.full_name, methods)
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield
    finally:
        server.stop(1).wait()


def _methods(store: MetadataStore) -> dict[str, Any]:
    """A handler for each method of the service."""
    service = metadata_store_service_pb2.DESCRIPTOR.services_by_name["MetadataStoreService"]
    lock = threading.Lock()
    return {
        method.name: grpc.unary_unary_rpc_method_handler(
            _answering(store, lock, method),
            GetMessageClass(method.input_type).FromString,
            GetMessageClass(method.output_type).SerializeToString,
        )
        for method in service.methods
    }


def _answering(
    store: MetadataStore, lock: threading.Lock, method: Any
) -> Callable[[Any, grpc.ServicerContext], Any]:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        response = GetMessageClass(method.output_type)()
        wanted = _taken_filter(request) if method.name == "GetExecutionsByContext" else None
        try:
            with lock:
                store._call(method.name, request, response)
        except Exception as error:
            code = _CODES.get(getattr(error, "error_code", None), grpc.StatusCode.INTERNAL)
            context.abort(code, str(error))
        if wanted:
            name, value = wanted
            kept = [
                one for one in response.executions if one.custom_properties[name].int_value == value
            ]
            del response.executions[:]
            response.executions.extend(kept)
        return response

    return answer


def _taken_filter(request: Any) -> tuple[str, int] | None:
    """Takes from a request the one form of filter that Kubeflow's driver sends.

    The library of Python has been built without ZetaSQL and refuses every filter.
    """
    found = _FILTER.fullmatch(request.options.filter_query)
    if not found:
        return None
    request.options.ClearField("filter_query")
    return found["name"], int(found["value"])
