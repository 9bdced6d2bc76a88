"""TensorFlow Serving's REST API over a Predictor."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import unquote

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.numbering import version_number
from serving.server.config import ServerConfig
from serving.server.errors import Code, ListenError, ServingError
from serving.server.grpc_api import SIGNATURE_DEF, metadata_response, status_response
from serving.server.metrics import Metrics
from serving.server.predictor import Predictor, Target, as_serving_error
from serving.server.rest_json import parse_body, read_inputs, write_outputs

METRICS_PATH = "/monitoring/prometheus/metrics"
# Not in TensorFlow Serving, whose REST answers do not tell which version gave them.
VERSION_HEADER = "Skymill-Model-Version"

_MODEL = r"/v1/models(?:/([^/:]+))?(?:/versions/(\d+)|/labels/([^/:]+))?"
_POST = re.compile(_MODEL + r":(predict|classify|regress)", re.IGNORECASE)
_GET = re.compile(_MODEL + r"(?:/(metadata))?", re.IGNORECASE)


class RestApi:
    """One handler for every path; a plain function of the request is cheaper than a router."""

    def __init__(self, config: ServerConfig, predictor: Predictor, metrics: Metrics) -> None:
        self._config = config
        self._predictor = predictor
        self._metrics = metrics
        self._under_way = 0
        self._idle = asyncio.Event()
        self._draining = False

    async def drain(self) -> None:
        """Wait until every request that has begun to arrive is answered.

        aiohttp's own shutdown would drop the bodies that are still arriving.
        """
        self._draining = True
        while self._under_way:
            self._idle.clear()
            await self._idle.wait()

    def request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        """Make a request whose body may be as large as the configuration says."""
        return web.BaseRequest(
            message,
            payload,
            protocol,
            writer,
            task,
            asyncio.get_running_loop(),
            client_max_size=self._config.max_request_bytes,
        )

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer any request."""
        self._under_way += 1
        try:
            response = await self._handle(request)
            if self._draining:
                response.force_close()
            return response
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        path = request.rel_url.raw_path
        if path == METRICS_PATH and request.method == "GET":
            return web.Response(body=self._metrics.page(), content_type="text/plain")
        if not path.lower().startswith("/v1/"):
            return _error(404, "Not Found")
        try:
            return await self._answer(request, path)
        except Exception as error:
            refusal = as_serving_error(error)
            return _error(refusal.http_status, refusal.message)

    async def _answer(self, request: web.BaseRequest, path: str) -> web.Response:
        if request.method == "POST" and (match := _POST.fullmatch(path)):
            with self._metrics.request(match[4].capitalize(), "rest"):
                return await self._post(request, _target(match), match[4].lower())
        if request.method == "GET" and (match := _GET.fullmatch(path)):
            with self._metrics.request("Metadata" if match[4] else "Status", "rest"):
                return _json(self._get(_target(match), metadata=bool(match[4])))
        raise ServingError(Code.INVALID_ARGUMENT, f"Malformed request: {request.method} {path}")

    async def _post(self, request: web.BaseRequest, target: Target, method: str) -> web.Response:
        if method != "predict":
            raise ServingError(
                Code.UNIMPLEMENTED, f"{method} is not served here: use predict, or TF Serving"
            )
        body = parse_body(await self._read(request))
        try:
            async with asyncio.timeout(self._config.request_timeout_s):
                answer = await self._predictor.predict(
                    target,
                    body.signature_name,
                    lambda signature: read_inputs(body, signature),
                    missing_signature=_missing_signature,
                )
        except TimeoutError as error:
            raise ServingError(
                Code.DEADLINE_EXCEEDED,
                f"No answer within {self._config.request_timeout_s:g} s",
            ) from error
        response = _json(write_outputs(answer.outputs, body.format))
        response.headers[VERSION_HEADER] = str(answer.version)
        return response

    async def _read(self, request: web.BaseRequest) -> bytes:
        limit = self._config.max_request_bytes
        try:
            if (request.content_length or 0) <= limit:
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            pass
        raise ServingError(
            Code.RESOURCE_EXHAUSTED,
            f"The request's body is larger than {limit} bytes",
            http_status=413,
        )

    def _get(self, target: Target, *, metadata: bool) -> bytes:
        if not target.name:
            raise ServingError(Code.INVALID_ARGUMENT, "Missing model name in request.")
        if metadata:
            return _metadata_json(metadata_response(target.name, self._predictor.model(target)))
        statuses = self._predictor.status(target, self._config.model_name)
        return _message_json(status_response(statuses)).encode()


@asynccontextmanager
async def rest_server(
    config: ServerConfig, predictor: Predictor, metrics: Metrics
) -> AsyncIterator[int]:
    """Serve for as long as the block runs; the value is the port."""
    api = RestApi(config, predictor, metrics)
    server = web.Server(api.handle, request_factory=api.request, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(
        runner,
        config.host,
        config.rest_port,
        reuse_port=True if config.supervisor_pid is not None else None,
    )
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        reason = error.strerror or str(error)
        raise ListenError("REST", config.host, config.rest_port, reason) from error
    try:
        yield runner.addresses[0][1]
    finally:
        await site.stop()
        with suppress(TimeoutError):
            await asyncio.wait_for(api.drain(), config.drain_timeout_s)
        await runner.cleanup()


def _target(match: re.Match[str]) -> Target:
    name, version, label, _ = match.groups()
    number = version_number(version) if version else None
    if version and number is None:
        raise ServingError(
            Code.INVALID_ARGUMENT, f"Failed to convert version: {version} to numeric."
        )
    return Target(
        name=unquote(name or ""),
        version=number,
        label=unquote(label or ""),
    )


def _missing_signature(name: str) -> ServingError:
    return ServingError(
        Code.INVALID_ARGUMENT, f'Serving signature name: "{name}" not found in signature def'
    )


def _message_json(message: Any) -> str:
    text: str = json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return text


def _metadata_json(response: get_model_metadata_pb2.GetModelMetadataResponse) -> bytes:
    """As TensorFlow Serving writes it: the packed map appears as a plain message."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    spec = json.loads(_message_json(response.model_spec))
    definitions = json.loads(_message_json(signatures))
    return json.dumps({"model_spec": spec, "metadata": {SIGNATURE_DEF: definitions}}).encode()


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _error(status: int, message: str) -> web.Response:
    body = json.dumps({"error": message}).encode()
    return web.Response(body=body, status=status, content_type="application/json")
