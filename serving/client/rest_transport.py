"""REST transport of the client (TensorFlow Serving's API)."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from serving.client.http_pool import is_timeout, open_pool, request, root_cause
from serving.client.transport import (
    ModelMetadata,
    ModelRef,
    RawAnswer,
    RequestFailed,
    SignatureInfo,
    TensorInfo,
    VersionStatus,
)
from serving.client.wire_tensors import Array, numpy_dtype_of_name, string_array

_VERSION_HEADER = "Skymill-Model-Version"  # of the embedded server; TensorFlow Serving has none

_CODE_OF_STATUS = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class RestTransport:
    """Keep-alive connections that threads share."""

    def __init__(self, host: str, port: int, *, secure: bool) -> None:
        shown = f"[{host}]" if ":" in host else host
        self._base = f"{'https' if secure else 'http'}://{shown}:{port}"
        self._pool = open_pool(self._base)
        self._signatures: dict[tuple[ModelRef, str], SignatureInfo] = {}

    def predict(
        self,
        model: ModelRef,
        signature: str,
        inputs: Mapping[str, Array],
        output_filter: Sequence[str],
        timeout_s: float,
    ) -> RawAnswer:
        """Runs a signature, in the column format.

        REST answers carry no types, so the transport requests the signature's types once.
        """
        info = self._signature(model, signature, timeout_s)
        body = json.dumps(
            {
                "signature_name": signature,
                "inputs": {name: _json_value(array) for name, array in inputs.items()},
            }
        )
        answer, version = self._request(f"{_path(model)}:predict", body.encode(), timeout_s)
        values = answer["outputs"]
        if len(info.outputs) == 1:
            values = {next(iter(info.outputs)): values}
        elif values.keys() != info.outputs.keys():
            self._signatures.clear()  # the model was replaced; fetch its signatures again next time
        outputs = {
            name: _array(value, info.outputs.get(name))
            for name, value in values.items()
            if not output_filter or name in output_filter
        }
        return RawAnswer(outputs, model.model_version if version is None else int(version))

    def _signature(self, model: ModelRef, signature: str, timeout_s: float) -> SignatureInfo:
        key = (model, signature)
        if key not in self._signatures:
            signatures = self.metadata(model, timeout_s).signatures
            if signature not in signatures:
                raise RequestFailed(
                    "INVALID_ARGUMENT",
                    f'Serving signature name: "{signature}" not found in signature def',
                )
            self._signatures[key] = signatures[signature]
        return self._signatures[key]

    def status(self, model: ModelRef, timeout_s: float) -> tuple[VersionStatus, ...]:
        """Returns the states of the model's versions."""
        answer, _ = self._request(_path(model), None, timeout_s)
        return tuple(
            VersionStatus(
                int(entry["version"]),
                entry["state"],
                entry["status"]["error_code"],
                entry["status"]["error_message"],
            )
            for entry in answer["model_version_status"]
        )

    def metadata(self, model: ModelRef, timeout_s: float) -> ModelMetadata:
        """Returns the signatures of a version."""
        answer, _ = self._request(f"{_path(model)}/metadata", None, timeout_s)
        definitions = answer["metadata"]["signature_def"]["signature_def"]
        signatures = {
            name: SignatureInfo(_tensors(definition["inputs"]), _tensors(definition["outputs"]))
            for name, definition in definitions.items()
        }
        return ModelMetadata(int(answer["model_spec"]["version"]), signatures)

    def close(self) -> None:
        """Closes the idle connections."""
        self._pool.clear()

    def _request(
        self, path: str, body: bytes | None, timeout_s: float
    ) -> tuple[dict[str, Any], str | None]:
        try:
            response = self._exchange(path, body, timeout_s)
        except HTTPError as error:
            if is_timeout(error):
                raise RequestFailed("DEADLINE_EXCEEDED", f"no answer in {timeout_s:g} s") from error
            cause = root_cause(error)
            raise RequestFailed("UNAVAILABLE", f"{type(cause).__name__}: {cause}") from error
        return _checked(response.status, response.data), response.headers.get(_VERSION_HEADER)

    def _exchange(self, path: str, body: bytes | None, timeout_s: float) -> BaseHTTPResponse:
        """Sends a request; every request is idempotent."""
        headers = {"Content-Type": "application/json"} if body else {}
        method = "POST" if body else "GET"
        return request(self._pool, method, self._base + path, body, headers, timeout_s)


def _checked(status: int, content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if status != 200:
        code = _CODE_OF_STATUS.get(status, "UNKNOWN")
        message = answer.get("error") if isinstance(answer, dict) else None
        raise RequestFailed(code, message or f"HTTP status {status}")
    if not isinstance(answer, dict):
        raise RequestFailed("INTERNAL", "the answer is not a JSON object")
    return answer


def _path(model: ModelRef) -> str:
    path = f"/v1/models/{quote(model.name, safe='')}"
    if model.model_version is not None:
        return f"{path}/versions/{model.model_version}"
    return f"{path}/labels/{quote(model.label, safe='')}" if model.label else path


def _json_value(array: Array) -> Any:
    if array.dtype.kind in "OSU":
        return _map_leaves(array.tolist())
    return array.tolist()


def _map_leaves(value: Any) -> Any:
    if isinstance(value, list):
        return [_map_leaves(item) for item in value]
    return {"b64": b64encode(value.encode() if isinstance(value, str) else value).decode()}


def _array(value: Any, info: TensorInfo | None) -> Array:
    if info is None:
        return np.array(value)
    if info.dtype != "string":
        return np.array(value, dtype=numpy_dtype_of_name(info.dtype))
    return _string_array(value)


def _string_array(value: Any) -> Array:
    shape = []
    level = [value]
    while level and isinstance(level[0], list):
        shape.append(len(level[0]))
        level = [leaf for item in level for leaf in item]
    return string_array([_bytes(leaf) for leaf in level], shape)


def _bytes(leaf: Any) -> bytes:
    if isinstance(leaf, dict):
        return b64decode(leaf["b64"])
    return str(leaf).encode()


def _tensors(infos: Mapping[str, Any]) -> dict[str, TensorInfo]:
    return {name: _tensor_info(info) for name, info in infos.items()}


def _tensor_info(info: Mapping[str, Any]) -> TensorInfo:
    dtype = info["dtype"].removeprefix("DT_").lower()
    shape = info["tensor_shape"]
    if shape["unknown_rank"]:
        return TensorInfo(dtype, None)
    sizes = [int(dim["size"]) for dim in shape["dim"]]
    return TensorInfo(dtype, tuple(None if size < 0 else size for size in sizes))
