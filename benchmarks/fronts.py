"""Processor time that a server's front takes for each request before it does any work.

    python -m benchmarks fronts [--seconds 3] [--rounds 5]

Fronts that answer every request with the same bytes take turns under the load of the serving
benchmark: those that the embedded server is built on, and the least that Python can do on bare
sockets. The latter check nothing, so a usable front lies in between.
"""

import argparse
import asyncio
import struct
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.load import frame, literal_headers
from benchmarks.serving import CLIENTS, IMAGES, cpu_s_below, jpegs, load_generator
from benchmarks.sides import machine_load, ratio_of

_ROW = '{"class": "class_1", "probabilities": [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]}'
_JSON = f'{{"predictions": [{_ROW}]}}'.encode()
_MESSAGE = b"\x0a" * 300  # as long as the answer of the benchmark's model
_HEADERS = b"\x88" + literal_headers([("content-type", "application/grpc")])
_TRAILERS = literal_headers([("grpc-status", "0")])
_DATA, _HEADERS_FRAME, _SETTINGS, _WINDOW_UPDATE = 0, 1, 4, 8
_END_STREAM = 1
_PREFACE_BYTES = 24


async def grpc_aio() -> int:
    """Serves by grpc.aio, as the embedded server does by default; returns the port."""
    from serving.server.grpcio_server import GrpcioServer

    return await _started(GrpcioServer(_config(), _methods()))


async def http2_server() -> int:
    """Serves by the embedded server's own calls on ngh2; returns the port."""
    from serving.server.http2_server import Http2Server
    from serving.server.in_flight import BytesInFlight

    in_flight = BytesInFlight(_config().max_bytes_in_flight)
    return await _started(Http2Server(_config(), in_flight, _methods()))


async def _started(server: Any) -> int:
    port: int = await server.start()
    _kept.append(server)
    return port


def _config() -> Any:
    from serving.server.config import ServerConfig

    return ServerConfig(model_base=Path(), grpc_port=0)


def _methods() -> dict[str, Any]:
    import grpc

    async def predict(messages: object, context: Any) -> bytes:
        await context.read()
        return _MESSAGE

    handler = grpc.stream_unary_rpc_method_handler(predict)
    return {"/tensorflow.serving.PredictionService/Predict": handler}


async def aiohttp_server() -> int:
    """Serves by aiohttp's low-level server, as the embedded server does; returns the port."""
    from aiohttp import web

    async def predict(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(body=_JSON, headers={"Content-Type": "application/json"})

    runner = web.ServerRunner(web.Server(predict))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _kept.append(runner)
    return int(runner.addresses[0][1])


class BareHttp1(asyncio.Protocol):
    """HTTP/1.1 that looks for the end of the head and for the length of the body only."""

    def connection_made(self, transport: Any) -> None:
        self._transport, self._buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._buffer.index(b"Content-Length: ") + 16
        length = int(self._buffer[at : self._buffer.index(b"\r\n", at)])
        if len(self._buffer) >= head + 4 + length:
            self._buffer = b""
            answer = (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            )
            self._transport.write(answer % len(_JSON) + _JSON)


class BareHttp2(asyncio.Protocol):
    """Frames of HTTP/2, without decoding headers, flow control or limits."""

    def connection_made(self, transport: Any) -> None:
        self._transport, self._buffer, self._begun = transport, bytearray(), False
        window = struct.pack(">I", 1 << 30)
        transport.write(frame(_SETTINGS, 0, 0, b"") + frame(_WINDOW_UPDATE, 0, 0, window))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        place = 0 if self._begun else _PREFACE_BYTES
        answers = []
        while len(buffer) - place >= 9:
            size = int.from_bytes(buffer[place : place + 3], "big")
            if len(buffer) - place < 9 + size:
                break
            kind, flags = buffer[place + 3], buffer[place + 4]
            stream = int.from_bytes(buffer[place + 5 : place + 9], "big")
            place += 9 + size
            self._begun = True
            if kind == _DATA and flags & _END_STREAM:
                message = b"\x00" + len(_MESSAGE).to_bytes(4, "big") + _MESSAGE
                answers.append(
                    frame(_HEADERS_FRAME, 4, stream, _HEADERS)
                    + frame(_DATA, 0, stream, message)
                    + frame(_HEADERS_FRAME, 4 | _END_STREAM, stream, _TRAILERS)
                )
        if self._begun:
            del buffer[:place]
        if answers:
            self._transport.write(b"".join(answers))


def bare(protocol: type[asyncio.Protocol]) -> Callable[[], Awaitable[int]]:
    """Returns a front of a protocol on bare sockets."""

    async def serve() -> int:
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        _kept.append(server)
        return int(server.sockets[0].getsockname()[1])

    return serve


#: Each front with the protocol of its clients.
FRONTS: dict[str, tuple[str, Callable[[], Awaitable[int]]]] = {
    "gRPC: grpc.aio": ("grpc", grpc_aio),
    "gRPC: ngh2": ("grpc", http2_server),
    "gRPC: bare HTTP/2": ("grpc", bare(BareHttp2)),
    "REST: aiohttp": ("rest", aiohttp_server),
    "REST: bare HTTP/1.1": ("rest", bare(BareHttp1)),
}
_kept: list[object] = []  # servers end when nothing refers to them


def main() -> None:
    """Measures and prints the cost of a request by front, and the ratio to the library's."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", choices=FRONTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(FRONTS[options.serve][1])
        return
    costs: dict[str, list[float]] = {name: [] for name in FRONTS}
    with machine_load(), tempfile.TemporaryDirectory(prefix="skymill-benchmark-") as folder:
        images = Path(folder) / "images.txt"
        images.write_text("\n".join(image.hex() for image in jpegs(IMAGES)))
        for _ in range(options.rounds):
            for name in FRONTS:
                costs[name].append(_cost_us(name, images, options.seconds))
        for name, measured in costs.items():
            library = next(it for it in FRONTS if FRONTS[it][0] == FRONTS[name][0])
            ratios = [ours / its for ours, its in zip(measured, costs[library], strict=True)]
            beside = "" if name == library else f"{ratio_of(ratios)} of {library.split()[1]}"
            print(f"{name:20} {median(measured):6.0f} us a request  {beside}")


def _cost_us(name: str, images: Path, seconds: float) -> float:
    """Returns the processor time of a request, in all threads of the front."""
    command = [sys.executable, "-m", "benchmarks", "fronts", "--serve", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as front:
        try:
            assert front.stdout
            address = f"http://127.0.0.1:{front.stdout.readline().strip()}"
            kind = FRONTS[name][0]
            load_generator(kind, address, images, CLIENTS, 0.5)  # warm-up
            began = cpu_s_below(front.pid)
            load = load_generator(kind, address, images, CLIENTS, seconds)
            return 1e6 * (cpu_s_below(front.pid) - began) / load["requests"]
        finally:
            front.kill()


def _serve(start: Callable[[], Awaitable[int]]) -> None:
    import uvloop

    async def serve() -> None:
        print(await start(), flush=True)
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
