"""Hostile requests: each is refused in TensorFlow Serving's form, and others are served."""

import base64
import gzip
import http.client
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from benchmarks.load import frame
from serving.client import connect
from tests.serving.conftest import RunningServer, copy_version, wait_until
from tests.serving.http2 import raw_client
from tests.serving.models import BLUE, RED

PREDICT = "/v1/models/m:predict"
MB = 1 << 20
#: JSON of 20,000 values, in which one byte of the string's only character is that of a quote.
UTF_16 = ('{"x": "\u2200", "instances": [' + "{}," * 20_000 + "{}]}").encode("utf-16-le")


@pytest.fixture(scope="module")
def server(
    serve_versions: Callable[..., RunningServer], colours: Path, numbers_model: Path
) -> RunningServer:
    return serve_versions(
        {4: numbers_model, 5: colours},
        latest_versions=2,
        max_request_bytes=4 * MB,
        max_bytes_in_flight=16 * MB,
        max_tensor_bytes=8 * MB,
        max_request_rows=100,
        max_json_values=10_000,
        header_timeout_s=0.5,
        transfer_timeout_s=0.8,
        max_connections=30,
    )


def address(server: RunningServer) -> tuple[str, int]:
    parts = urlsplit(server.rest)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def post(server: RunningServer, body: bytes, **headers: str) -> tuple[int, str]:
    """The status and the error of one request on a connection of its own."""
    connection = http.client.HTTPConnection(*address(server), timeout=20)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", named.pop("path", PREDICT), body, named)
        response = connection.getresponse()
        answer = json.load(response)
        return response.status, answer.get("error", "")
    finally:
        connection.close()


@contextmanager
def innocents(server: RunningServer) -> Iterator[None]:
    """Clients of both protocols that send requests all the time, without retries."""
    stop = threading.Event()
    asking: list[str] = []
    outcomes: list[Any] = []

    def ask(at: str) -> None:
        with connect(at, model="m", retries=0) as client:
            client.predict([RED])
            asking.append(at)
            while not stop.is_set():
                try:
                    outcomes.append(client.predict([RED])[0].class_name)
                except Exception as error:
                    outcomes.append(error)

    threads = [threading.Thread(target=ask, args=(at,)) for at in (server.grpc, server.rest)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(asking) == len(threads))
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert set(outcomes) == {"red"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b" " * (5 * MB), {}, 413, "larger than 4194304 bytes"),
        (gzip.compress(b" " * (50 * MB)), {"Content_Encoding": "gzip"}, 413, "larger than 4194304"),
        (zlib.compress(b" " * (9 * MB)), {"Content_Encoding": "deflate"}, 413, "larger than"),
        (b"no gzip", {"Content_Encoding": "gzip"}, 400, "cannot be read"),
        (b"[" * MB, {}, 400, "max_json_values"),
        (UTF_16, {}, 400, "JSON Parse error"),
        (b'{"instances":' + b"[" * 50 + b"]" * 50 + b"}", {}, 400, "nested 51 deep"),
        (b'{"instances": ["\\ud800"]}', {}, 400, "is not UTF-8"),
        (b'{"instances": [1' + b"0" * 5000 + b"]}", {}, 400, "JSON Parse error"),
        (b'{"inputs": ["a"], "signature_name": "' + b"s" * MB + b'"}', {}, 400, "not found in sig"),
        (json.dumps({"instances": ["a"] * 101}).encode(), {}, 400, "Task size 101 is larger"),
        (b"x", {"path": "/v1/models/m/versions/" + "9" * 5000 + ":predict"}, 400, "Failed to conv"),
        (b"x", {"X": "h" * 9000}, 400, ""),
    ],
)
def test_rest_requests_that_ask_too_much(
    server: RunningServer, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    got, error = post(server, body, **headers)
    assert (got, says in error) == (status, True), error
    assert len(error) < 2500


def test_a_refused_body_is_not_an_error_of_the_server(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert post(server, b"no gzip", Content_Encoding="gzip")[0] == 400
    assert post(server, b"{}")[0] == 400  # on a later connection: the first one has ended
    assert not caplog.records


def test_compressed_requests_are_read(server: RunningServer) -> None:
    body = json.dumps({"instances": [{"b64": base64.b64encode(BLUE).decode()}]}).encode()
    assert post(server, gzip.compress(body), Content_Encoding="gzip") == (200, "")


def predict(server: RunningServer, name: str = "image_bytes", **tensor: Any) -> grpc.RpcError:
    """The error of one gRPC request of one tensor; `shape` is the tensor's."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    shape = tensor.pop("shape")
    request.inputs[name].CopyFrom(tensor_pb2.TensorProto(**tensor))
    for size in shape:
        request.inputs[name].tensor_shape.dim.add().size = size
    with grpc.insecure_channel(server.grpc.removeprefix("grpc://")) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(request, timeout=20)
        return caught.value


@pytest.mark.parametrize(
    ("tensor", "code", "says"),
    [
        ({"shape": [10**6], "string_val": [RED]}, "INVALID_ARGUMENT", "Task size 1000000"),
        ({"shape": [10**15], "string_val": [RED]}, "INVALID_ARGUMENT", "Task size"),
        ({"shape": [1, 10**6], "string_val": [RED]}, "RESOURCE_EXHAUSTED", "max_tensor_bytes"),
        ({"shape": [90], "string_val": [b"j" * 100_000]}, "RESOURCE_EXHAUSTED", "max_tensor_bytes"),
        ({"shape": [1] * 300, "string_val": [RED]}, "INVALID_ARGUMENT", "64 dimensions"),
        ({"shape": [-1], "string_val": [RED]}, "INVALID_ARGUMENT", "not fully known"),
        ({"shape": [0, 2**62, 2**62]}, "INVALID_ARGUMENT", "too many elements"),
        ({"shape": [3], "string_val": [RED] * 4}, "INVALID_ARGUMENT", "do not fill"),
        ({"shape": [3], "tensor_content": b"\xff" * 40}, "INVALID_ARGUMENT", "string content"),
        ({"shape": [1], "string_val": [b"j" * (5 * MB)]}, "RESOURCE_EXHAUSTED", "larger than max"),
        (
            {"shape": [1], "name": "n" * 10**6, "string_val": [b""]},
            "INVALID_ARGUMENT",
            "required: {im",
        ),
    ],
)
def test_tensors_that_ask_too_much(
    server: RunningServer, tensor: dict[str, Any], code: str, says: str
) -> None:
    error = predict(server, **{"dtype": 7, "name": "image_bytes", **tensor})
    assert (error.code(), says in error.details()) == (grpc.StatusCode[code], True), error.details()


def test_messages_that_are_none(server: RunningServer) -> None:
    with grpc.insecure_channel(server.grpc.removeprefix("grpc://")) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff" * 100, timeout=20)
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert caught.value.details() == "The message is not a PredictRequest"
        with pytest.raises(grpc.RpcError) as caught:
            call(b"\0" * (50 * MB), timeout=20, compression=grpc.Compression.Gzip)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def closed_after(connection: socket.socket, drip: bytes = b"") -> float:
    """Seconds until the server ends a connection on which a byte trickles now and then."""
    began = time.monotonic()
    connection.settimeout(0.05)
    while time.monotonic() - began < 10:
        try:
            if drip:
                connection.sendall(drip)
            if not connection.recv(1000):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


@pytest.mark.parametrize("sent", [b"", b"POST " + PREDICT.encode() + b" HTTP/1.1\r\nX-A: b\r\n"])
def test_a_head_that_does_not_arrive(server: RunningServer, sent: bytes) -> None:
    with socket.create_connection(address(server)) as connection:
        connection.sendall(sent)
        assert 0.3 < closed_after(connection, b"X: y\r\n" if sent else b"") < 3


def test_a_body_that_does_not_arrive(server: RunningServer) -> None:
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(address(server)) as connection:
        connection.sendall(head.encode() + b'{"inst')
        answer = connection.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"error": "The request\'s body did not arrive within 0.8 s"' in answer


def test_what_is_no_http(server: RunningServer) -> None:
    with socket.create_connection(address(server)) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]).keys() == {"error"}


def test_idle_connections_make_room(server: RunningServer) -> None:
    """Twice as many as allowed; idle ones are closed first."""
    with innocents(server):
        idle = [socket.create_connection(address(server)) for _ in range(60)]
        assert post(server, b"x")[0] == 400
        for connection in idle:
            connection.close()


def test_idle_grpc_connections_are_closed(
    serve: Callable[..., RunningServer], base: Path, colours: Path
) -> None:
    """Their number is limited; an idle client reconnects transparently."""
    copy_version(colours, base, 1)
    server = serve(base, idle_timeout_s=0.2)
    parts = urlsplit(server.grpc)
    with connect(server.grpc, model="m", retries=0) as client:
        wait_until(lambda: client.status()[0].state == "AVAILABLE")
        with socket.create_connection((str(parts.hostname), parts.port or 0)) as idle:
            idle.settimeout(10)
            idle.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
            while idle.recv(1000):
                pass  # settings, and that it goes away
        assert client.predict([RED])[0].class_name == "red"


def test_bodies_that_stay_unfinished_leave_room_for_small_requests(server: RunningServer) -> None:
    """Sixteen of 3 MB at once where 16 MB may be held: some are refused, but no small request."""
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: h\r\nContent-Length: {4 * MB}\r\n\r\n".encode()
    answers: list[bytes] = []

    def send() -> None:
        with socket.create_connection(address(server)) as connection:
            connection.settimeout(10)
            try:
                connection.sendall(head + b" " * (3 * MB))
                answers.append(connection.recv(1000)[:13])
            except OSError as error:
                answers.append(str(error).encode())

    with innocents(server):
        threads = [threading.Thread(target=send) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(answers) == 16
    assert b"HTTP/1.1 429 " in answers
    assert b"HTTP/1.1 408 " in answers


@pytest.mark.parametrize("library", ["grpcio", "ngh2"])
def test_messages_that_stay_unfinished(
    serve_versions: Callable[..., RunningServer], colours: Path, library: str
) -> None:
    """Four may wait until their time is up; the others are refused at once."""
    limits = {"max_request_bytes": 4 * MB, "max_bytes_in_flight": 16 * MB}
    server = serve_versions({5: colours}, transfer_timeout_s=0.8, grpc_library=library, **limits)
    parts = urlsplit(server.grpc)
    half = b"\x00" + (3 * MB).to_bytes(4, "big") + b"only the beginning"
    statuses: list[str] = []

    def send() -> None:
        with raw_client(parts.hostname, parts.port) as client:
            path = "/tensorflow.serving.PredictionService/Predict"
            headers, _ = client.answer(client.call(path, half, end=False))
            statuses.append(headers["grpc-status"])

    with innocents(server):
        threads = [threading.Thread(target=send) for _ in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    exhausted, exceeded = "8", "4"
    assert sorted(statuses) == [exceeded] * 4 + [exhausted] * 5
