"""gRPC transport of the client."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import grpc

from serving.client.transport import (
    CODE_NAMES,
    STATE_NAMES,
    ModelMetadata,
    ModelRef,
    RawAnswer,
    RequestFailed,
    SignatureInfo,
    TensorInfo,
    VersionStatus,
)
from serving.client.wire_messages import build_messages
from serving.client.wire_tensors import Array, TensorError, decode_tensor, dtype_name, encode_tensor

_PREDICTION = "/tensorflow.serving.PredictionService"
_MODEL = "/tensorflow.serving.ModelService"
_SIGNATURE_DEF = "signature_def"


class GrpcTransport:
    """One channel, which several threads may share."""

    def __init__(self, host: str, port: int, *, secure: bool) -> None:
        options = [
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2000),
            ("grpc.enable_http_proxy", 0 if _is_loopback(host) else 1),
        ]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if secure:
            credentials = grpc.ssl_channel_credentials()
            self._channel = grpc.secure_channel(address, credentials, options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        self._messages = build_messages()
        m = self._messages
        self._predict = self._method(f"{_PREDICTION}/Predict", m.predict_response)
        self._metadata = self._method(f"{_PREDICTION}/GetModelMetadata", m.metadata_response)
        self._status = self._method(f"{_MODEL}/GetModelStatus", m.status_response)

    def _method(self, path: str, response: Any) -> Any:
        return self._channel.unary_unary(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )

    def predict(
        self,
        model: ModelRef,
        signature: str,
        inputs: Mapping[str, Array],
        output_filter: Sequence[str],
        timeout_s: float,
    ) -> RawAnswer:
        """Runs a signature."""
        request = self._messages.predict_request()
        _fill_spec(request.model_spec, model)
        request.model_spec.signature_name = signature
        request.output_filter.extend(output_filter)
        for name, array in inputs.items():
            encode_tensor(array, request.inputs[name])
        response = _call(self._predict, request, timeout_s)
        try:
            outputs = {name: decode_tensor(proto) for name, proto in response.outputs.items()}
        except TensorError as error:
            raise RequestFailed("INTERNAL", f"the answer cannot be read: {error}") from error
        spec = response.model_spec
        return RawAnswer(outputs, spec.version.value if spec.HasField("version") else None)

    def status(self, model: ModelRef, timeout_s: float) -> tuple[VersionStatus, ...]:
        """Returns the states of the model's versions."""
        request = self._messages.status_request()
        _fill_spec(request.model_spec, model)
        response = _call(self._status, request, timeout_s)
        return tuple(
            VersionStatus(
                entry.version,
                STATE_NAMES.get(entry.state, "UNKNOWN"),
                _code_name(entry.status.error_code),
                entry.status.error_message,
            )
            for entry in response.model_version_status
        )

    def metadata(self, model: ModelRef, timeout_s: float) -> ModelMetadata:
        """Returns the signatures of a version."""
        request = self._messages.metadata_request(metadata_field=[_SIGNATURE_DEF])
        _fill_spec(request.model_spec, model)
        response = _call(self._metadata, request, timeout_s)
        packed = response.metadata[_SIGNATURE_DEF].value
        definitions = self._messages.signature_def_map.FromString(packed).signature_def
        signatures = {
            name: SignatureInfo(_tensors(definition.inputs), _tensors(definition.outputs))
            for name, definition in definitions.items()
        }
        return ModelMetadata(response.model_spec.version.value, signatures)

    def close(self) -> None:
        """Closes the channel."""
        self._channel.close()


def _call(method: Any, request: Any, timeout_s: float) -> Any:
    try:
        return method(request, timeout=timeout_s)
    except grpc.RpcError as error:
        # The client never cancels a call: a stopping server cancels calls that have just arrived.
        cancelled = error.code() is grpc.StatusCode.CANCELLED
        code = "UNAVAILABLE" if cancelled else error.code().name
        raise RequestFailed(code, error.details() or "") from error
    except ValueError as error:  # raised by grpc for a closed channel
        raise RequestFailed("CANCELLED", str(error)) from error


def _fill_spec(spec: Any, model: ModelRef) -> None:
    spec.name = model.name
    if model.model_version is not None:
        spec.version.value = model.model_version
    elif model.label:
        spec.version_label = model.label


def _tensors(infos: Mapping[str, Any]) -> dict[str, TensorInfo]:
    return {name: _tensor_info(info) for name, info in infos.items()}


def _tensor_info(info: Any) -> TensorInfo:
    shape = info.tensor_shape
    if shape.unknown_rank:
        return TensorInfo(dtype_name(info.dtype), None)
    sizes = tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
    return TensorInfo(dtype_name(info.dtype), sizes)


def _code_name(number: int) -> str:
    return CODE_NAMES[number] if 0 <= number < len(CODE_NAMES) else "UNKNOWN"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
