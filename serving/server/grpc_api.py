"""TensorFlow Serving's gRPC services over a Predictor."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Never

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving.server.config import ServerConfig
from serving.server.errors import Code, ListenError, ServingError
from serving.server.manager import VersionStatus
from serving.server.metrics import Metrics
from serving.server.model import Arrays, LoadedModel
from serving.server.predictor import Answer, Predictor, Target, as_serving_error
from serving.wire_tensors import decode_tensor, encode_tensor

SIGNATURE_DEF = "signature_def"

_HEALTH_NAMES = (
    "",
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the generated base answers UNIMPLEMENTED to the others."""

    def __init__(self, predictor: Predictor, metrics: Metrics) -> None:
        self._predictor = predictor
        self._metrics = metrics

    async def Predict(self, request: Any, context: Any) -> Any:
        """Run a signature."""
        try:
            with self._metrics.request("Predict", "grpc"):
                answer = await self._predictor.predict(
                    _target(request.model_spec),
                    request.model_spec.signature_name,
                    lambda signature: _read_inputs(request),
                    request.output_filter,
                    missing_signature=_missing_signature,
                )
                return predict_response(request.model_spec.name, answer)
        except Exception as error:
            await _abort(context, error)

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:
        """The signatures of a version."""
        try:
            with self._metrics.request("GetModelMetadata", "grpc"):
                _check_metadata_fields(request.metadata_field)
                model = self._predictor.model(_target(request.model_spec))
                return metadata_response(request.model_spec.name, model)
        except Exception as error:
            await _abort(context, error)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; the generated base answers UNIMPLEMENTED to reload requests."""

    def __init__(self, predictor: Predictor, metrics: Metrics, model_name: str) -> None:
        self._predictor = predictor
        self._metrics = metrics
        self._model_name = model_name

    async def GetModelStatus(self, request: Any, context: Any) -> Any:
        """The state of every version, or of the one asked for."""
        try:
            with self._metrics.request("GetModelStatus", "grpc"):
                target = _target(request.model_spec)
                return status_response(self._predictor.status(target, self._model_name))
        except Exception as error:
            await _abort(context, error)


def predict_response(name: str, answer: Answer) -> predict_pb2.PredictResponse:
    """An answer in TensorFlow Serving's message."""
    response = predict_pb2.PredictResponse()
    spec = response.model_spec
    spec.name = name
    spec.signature_name = answer.signature
    spec.version.value = answer.version
    for alias, array in answer.outputs.items():
        encode_tensor(array, response.outputs[alias])
    return response


def status_response(
    statuses: Sequence[VersionStatus],
) -> get_model_status_pb2.GetModelStatusResponse:
    """The versions' states in TensorFlow Serving's message."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for status in statuses:
        entry = response.model_version_status.add()
        entry.version = status.version
        entry.state = status.state.value
        entry.status.error_code = status.code.number
        entry.status.error_message = status.message
    return response


def metadata_response(
    name: str, model: LoadedModel
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """A version's signatures in TensorFlow Serving's message."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, definition in model.signature_defs.items():
        signatures.signature_def[key].CopyFrom(definition)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = model.version
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response


class Health:
    """gRPC's health protocol: SERVING while a version answers."""

    def __init__(self) -> None:
        self._servicer = health.aio.HealthServicer()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register with a server that has not started."""
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def set(self, serving: bool) -> None:
        """Say whether the server answers."""
        states = health_pb2.HealthCheckResponse
        for name in _HEALTH_NAMES:
            await self._servicer.set(name, states.SERVING if serving else states.NOT_SERVING)


@asynccontextmanager
async def grpc_server(
    config: ServerConfig, predictor: Predictor, metrics: Metrics, health_state: Health
) -> AsyncIterator[int]:
    """Serve for as long as the block runs; the value is the port.

    On leaving, requests under way have `drain_timeout_s` to end.
    """
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", config.max_request_bytes),
            ("grpc.max_send_message_length", -1),
            # Two servers on one port share its connections: right for processes of one server only.
            ("grpc.so_reuseport", int(config.supervisor_pid is not None)),
        ]
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(predictor, metrics), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelService(predictor, metrics, config.model_name), server
    )
    health_state.add_to(server)
    host = f"[{config.host}]" if ":" in config.host else config.host
    try:
        port = server.add_insecure_port(f"{host}:{config.grpc_port}")
    except RuntimeError as error:
        raise ListenError(
            "gRPC", config.host, config.grpc_port, "in use, or no such address"
        ) from error
    await server.start()
    try:
        yield port
    finally:
        await server.stop(config.drain_timeout_s)


def _target(spec: model_pb2.ModelSpec) -> Target:
    choice = spec.WhichOneof("version_choice")
    version = spec.version.value if choice == "version" else None
    return Target(spec.name, version, spec.version_label)


def _read_inputs(request: predict_pb2.PredictRequest) -> Arrays:
    return {name: decode_tensor(proto) for name, proto in request.inputs.items()}


def _missing_signature(name: str) -> ServingError:
    return ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')


def _check_metadata_fields(fields: Sequence[str]) -> None:
    if not fields:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            "GetModelMetadataRequest must specify at least one metadata_field",
        )
    for metadata_field in fields:
        if metadata_field != SIGNATURE_DEF:
            raise ServingError(
                Code.INVALID_ARGUMENT, f"Metadata field {metadata_field} is not supported"
            )


async def _abort(context: Any, error: Exception) -> Never:
    refusal = as_serving_error(error)
    await context.abort(refusal.code.grpc, refusal.message)
    raise AssertionError("abort raises")
