"""TensorFlow Serving's gRPC services on top of a Predictor."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health, health_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
)

from serving.client.wire_tensors import encode_tensor
from serving.server.config import ServerConfig
from serving.server.errors import Code, ListenError, ServingError
from serving.server.grpc_calls import Calls
from serving.server.grpcio_server import GrpcioServer
from serving.server.in_flight import BytesInFlight
from serving.server.manager import VersionStatus
from serving.server.metrics import ServerMetrics
from serving.server.model import LoadedModel
from serving.server.predictor import Predictor, RequestedModel, SignatureResult
from serving.server.requests import SETTLE_S, Endpoint, Request

SIGNATURE_DEF = "signature_def"

_PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
_MODEL_SERVICE = "tensorflow.serving.ModelService"
_HEALTH_NAMES = ("", _PREDICTION_SERVICE, _MODEL_SERVICE)

_CLOSE_S = 0.5  # for calls that remain after all requests are answered


class GrpcApi:
    """Predict, GetModelMetadata and GetModelStatus; other methods get UNIMPLEMENTED."""

    def __init__(self, predictor: Predictor, metrics: ServerMetrics, model_name: str) -> None:
        self._predictor = predictor
        self._metrics = metrics
        self._model_name = model_name

    def methods(self, calls: Calls) -> dict[str, grpc.RpcMethodHandler]:
        """Returns TensorFlow Serving's methods by path, without those that are not implemented."""
        return {
            f"/{_PREDICTION_SERVICE}/Predict": calls.handler(
                predict_pb2.PredictRequest, self.predict
            ),
            f"/{_PREDICTION_SERVICE}/GetModelMetadata": calls.handler(
                get_model_metadata_pb2.GetModelMetadataRequest, self.metadata
            ),
            f"/{_MODEL_SERVICE}/GetModelStatus": calls.handler(
                get_model_status_pb2.GetModelStatusRequest, self.status
            ),
        }

    async def predict(self, request: Any, under_way: Request) -> predict_pb2.PredictResponse:
        """Runs a signature."""
        with self._metrics.request("Predict", "grpc"):
            answer = await self._predictor.predict(
                _target(request.model_spec),
                request.model_spec.signature_name,
                lambda signature, limits: limits.read(request.inputs, signature, under_way.held),
                under_way.held,
                request.output_filter,
                missing_signature=_missing_signature,
            )
            return predict_response(request.model_spec.name, answer)

    async def metadata(
        self, request: Any, under_way: Request
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Returns the signatures of a version."""
        with self._metrics.request("GetModelMetadata", "grpc"):
            _check_metadata_fields(request.metadata_field)
            model = self._predictor.model(_target(request.model_spec))
            return metadata_response(request.model_spec.name, model)

    async def status(
        self, request: Any, under_way: Request
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Returns the state of every version, or of the requested one."""
        with self._metrics.request("GetModelStatus", "grpc"):
            target = _target(request.model_spec)
            return status_response(self._predictor.status(target, self._model_name))


def predict_response(name: str, answer: SignatureResult) -> predict_pb2.PredictResponse:
    """Converts an answer to TensorFlow Serving's message."""
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
    """Converts the versions' states to TensorFlow Serving's message."""
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
    """Converts a version's signatures to TensorFlow Serving's message."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for key, definition in model.signature_defs.items():
        signatures.signature_def[key].CopyFrom(definition)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = model.version
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response


class Health:
    """gRPC's health protocol: SERVING while a version is available."""

    def __init__(self) -> None:
        self._servicer = health.aio.HealthServicer()
        self._state = health_pb2.HealthCheckResponse.NOT_SERVING

    def methods(self, calls: Calls) -> dict[str, grpc.RpcMethodHandler]:
        """Returns the methods by path; their calls have the same limits as all others."""
        request = health_pb2.HealthCheckRequest
        return {
            "/grpc.health.v1.Health/Check": calls.handler(request, self.check, always=True),
            "/grpc.health.v1.Health/Watch": calls.stream(request, self._servicer.Watch),
        }

    async def check(self, request: Any, under_way: Request) -> health_pb2.HealthCheckResponse:
        """Returns the state of the server, or of one of its services."""
        if request.service not in _HEALTH_NAMES:
            raise ServingError(Code.NOT_FOUND, f"There is no service {request.service}")
        return health_pb2.HealthCheckResponse(status=self._state)

    async def set(self, serving: bool) -> None:
        """Sets the state that health checks report."""
        states = health_pb2.HealthCheckResponse
        self._state = states.SERVING if serving else states.NOT_SERVING
        for name in _HEALTH_NAMES:
            await self._servicer.set(name, self._state)


@asynccontextmanager
async def grpc_server(
    config: ServerConfig,
    predictor: Predictor,
    metrics: ServerMetrics,
    health_state: Health,
    in_flight: BytesInFlight,
) -> AsyncIterator[Endpoint]:
    """Runs the gRPC server during the block."""
    calls = Calls(config, in_flight)
    api = GrpcApi(predictor, metrics, config.model_name)
    server = _server(config, in_flight, {**api.methods(calls), **health_state.methods(calls)})
    try:
        port = await server.start()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ListenError("gRPC", config.host, config.grpc_port, reason) from error
    watching = asyncio.create_task(calls.watch())

    async def drain() -> None:
        await asyncio.sleep(SETTLE_S)
        # gRPC cancels calls that arrive after its stop, so new calls are first refused as
        # UNAVAILABLE.
        calls.requests.leave()
        await calls.requests.drain(config.drain_timeout_s)
        await asyncio.sleep(SETTLE_S)
        await server.stop(_CLOSE_S)  # a health watch never ends by itself

    try:
        yield Endpoint(port, drain)
    finally:
        watching.cancel()
        await server.stop(0)


class _Server(Protocol):
    async def start(self) -> int: ...

    async def stop(self, grace_s: float) -> None: ...


def _server(
    config: ServerConfig,
    in_flight: BytesInFlight,
    methods: Mapping[str, grpc.RpcMethodHandler],
) -> _Server:
    if config.grpc_library == "grpcio":
        return GrpcioServer(config, methods)
    from serving.server.http2_server import Http2Server

    return Http2Server(config, in_flight, methods)


def _target(spec: model_pb2.ModelSpec) -> RequestedModel:
    choice = spec.WhichOneof("version_choice")
    version = spec.version.value if choice == "version" else None
    return RequestedModel(spec.name, version, spec.version_label)


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
