"""TensorFlow Serving's REST API on top of a Predictor."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.contract.numbering import version_number
from serving.server.config import ServerConfig
from serving.server.errors import Code, ListenError, ServingError
from serving.server.grpc_api import SIGNATURE_DEF, metadata_response, status_response
from serving.server.in_flight import BytesInFlight
from serving.server.metrics import ServerMetrics
from serving.server.model import Arrays
from serving.server.predictor import Predictor, RequestedModel, as_serving_error
from serving.server.receiving import end_unless_taken
from serving.server.requests import SETTLE_S, Endpoint, Request, Requests, RequestStage
from serving.server.rest_body import read_body
from serving.server.rest_connections import ConnectionServer, HttpConnection, error_response
from serving.server.rest_json import Body, Format, parse_body, read_inputs, write_outputs

METRICS_PATH = "/monitoring/prometheus/metrics"
_CLOSE_S = 0.5  # for connections that remain after all requests are answered
_WRITTEN_AT_ONCE = 1 << 14  # values; writing them takes a few milliseconds
# Not in TensorFlow Serving, whose REST answers do not name the version.
VERSION_HEADER = "Skymill-Model-Version"

_MODEL = r"/v1/models(?:/([^/:]+))?(?:/versions/(\d+)|/labels/([^/:]+))?"
_POST = re.compile(_MODEL + r":(predict|classify|regress)", re.IGNORECASE)
_GET = re.compile(_MODEL + r"(?:/(metadata))?", re.IGNORECASE)


class RestApi:
    """One handler for every path; a plain function of the request is cheaper than a router."""

    def __init__(
        self,
        config: ServerConfig,
        predictor: Predictor,
        metrics: ServerMetrics,
        in_flight: BytesInFlight,
    ) -> None:
        self._config = config
        self._predictor = predictor
        self._metrics = metrics
        self._requests = Requests(in_flight)

    def leave(self) -> None:
        """Closes each connection after its next answer, so that the client reconnects elsewhere."""
        self._requests.leave()

    async def drain(self) -> None:
        """Waits until all received requests are answered."""
        await self._requests.drain(self._config.drain_timeout_s)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers any request."""
        connection = request.protocol
        assert isinstance(connection, HttpConnection)
        connection.begin()
        under_way = self._requests.begin()
        try:
            response = await self._handle(request, under_way)
            if self._requests.leaving:
                response.force_close()
            end_unless_taken(request, response)
            await self._send(request, response, under_way)
            return response
        finally:
            self._requests.end(asyncio.current_task())
            connection.end()

    async def _send(
        self, request: web.BaseRequest, response: web.Response, under_way: Request
    ) -> None:
        """Sends the answer; the request counts until the client has received it."""
        under_way.enter(RequestStage.ANSWERING)
        if request.transport is None:
            return
        # Nearly every answer is sent at once, which takes less time than `asyncio.timeout`.
        give_up = asyncio.get_running_loop().call_later(
            self._config.transfer_timeout_s, request.transport.abort
        )
        try:
            with suppress(ConnectionError):  # the client has disconnected
                await response.prepare(request)
                await response.write_eof()
        finally:
            give_up.cancel()

    async def _handle(self, request: web.BaseRequest, under_way: Request) -> web.Response:
        path = request.rel_url.raw_path
        if path == METRICS_PATH and request.method == "GET":
            return web.Response(body=self._metrics.page(), content_type="text/plain")
        if not path.lower().startswith("/v1/"):
            return error_response(404, "Not Found")
        try:
            with under_way:
                return await self._answer(request, path, under_way)
        except Exception as error:
            refusal = as_serving_error(error)
            return error_response(refusal.http_status, refusal.message)

    async def _answer(
        self, request: web.BaseRequest, path: str, under_way: Request
    ) -> web.Response:
        if request.method == "POST" and (match := _POST.fullmatch(path)):
            with self._metrics.request(match[4].capitalize(), "rest"):
                return await self._post(request, _target(match), match[4].lower(), under_way)
        if request.method == "GET" and (match := _GET.fullmatch(path)):
            with self._metrics.request("Metadata" if match[4] else "Status", "rest"):
                return _json(self._get(_target(match), metadata=bool(match[4])))
        raise ServingError(Code.INVALID_ARGUMENT, f"Malformed request: {request.method} {path}")

    def _cut_late(self, under_way: Request) -> None:
        seconds = self._config.request_timeout_s
        under_way.cut(ServingError(Code.DEADLINE_EXCEEDED, f"No answer within {seconds:g} s"))

    async def _post(
        self, request: web.BaseRequest, target: RequestedModel, method: str, under_way: Request
    ) -> web.Response:
        if method != "predict":
            raise ServingError(
                Code.UNIMPLEMENTED, f"{method} is not served here: use predict, or TF Serving"
            )
        body = await self._body(request, under_way)
        give_up = asyncio.get_running_loop().call_later(
            self._config.request_timeout_s, self._cut_late, under_way
        )
        try:
            with under_way:
                answer = await self._predictor.predict(
                    target,
                    body.signature_name,
                    lambda signature, limits: limits.checked(
                        read_inputs(body, signature), signature
                    ),
                    under_way.held,
                    missing_signature=_missing_signature,
                )
        finally:
            give_up.cancel()
        written = await _written(answer.outputs, body.format)
        under_way.held.reach(len(written))
        response = _json(written)
        response.headers[VERSION_HEADER] = str(answer.version)
        return response

    async def _body(self, request: web.BaseRequest, under_way: Request) -> Body:
        config = self._config
        content = await read_body(request, under_way.held, config)
        under_way.enter(RequestStage.WORKING)
        return parse_body(content, config.max_json_values, config.max_json_depth)

    def _get(self, target: RequestedModel, *, metadata: bool) -> bytes:
        if not target.name:
            raise ServingError(Code.INVALID_ARGUMENT, "Missing model name in request.")
        if metadata:
            return _metadata_json(metadata_response(target.name, self._predictor.model(target)))
        statuses = self._predictor.status(target, self._config.model_name)
        return _message_json(status_response(statuses)).encode()


@asynccontextmanager
async def rest_server(
    config: ServerConfig, predictor: Predictor, metrics: ServerMetrics, in_flight: BytesInFlight
) -> AsyncIterator[Endpoint]:
    """Runs the REST server during the block."""
    api = RestApi(config, predictor, metrics, in_flight)
    server = ConnectionServer(config, api.handle)
    runner = web.ServerRunner(server, shutdown_timeout=_CLOSE_S)
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

    async def drain() -> None:
        api.leave()
        await asyncio.sleep(SETTLE_S)
        await site.stop()
        await api.drain()

    try:
        yield Endpoint(runner.addresses[0][1], drain)
    finally:
        await runner.cleanup()


def _target(match: re.Match[str]) -> RequestedModel:
    name, version, label, _ = match.groups()
    number = version_number(version) if version else None
    if version and number is None:
        raise ServingError(
            Code.INVALID_ARGUMENT, f"Failed to convert version: {version} to numeric."
        )
    return RequestedModel(
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
    """Formats metadata as TensorFlow Serving does: the packed map appears as a plain message."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    spec = json.loads(_message_json(response.model_spec))
    definitions = json.loads(_message_json(signatures))
    return json.dumps({"model_spec": spec, "metadata": {SIGNATURE_DEF: definitions}}).encode()


async def _written(outputs: Arrays, form: Format) -> bytes:
    """Formats the answer's JSON; long ones in a thread, so that other requests need not wait."""
    if sum(array.size for array in outputs.values()) <= _WRITTEN_AT_ONCE:
        return write_outputs(outputs, form)
    return await asyncio.to_thread(write_outputs, outputs, form)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": "application/json"})
