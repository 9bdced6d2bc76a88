"""Unary gRPC calls, from the first byte of a message until its answer is taken.

gRPC's core receives messages on its own and tells nothing of one before it is whole. So what is
bounded is how many may take their time to arrive; whatever has arrived counts as bytes in flight.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Never

import grpc
from google.protobuf.message import DecodeError, Message

from serving.server.config import ServerConfig
from serving.server.errors import Code, ServingError
from serving.server.in_flight import BytesInFlight
from serving.server.predictor import as_serving_error
from serving.server.requests import Request, Requests, Stage

_LOOK_EVERY_S = 0.1
# A look takes place between turns of the event loop, so that a busy server makes no call old.
_LOOKS_TO_ARRIVE = 3

Answer = Callable[[Any, Request], Awaitable[Message]]


class Calls(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """All unary calls of a server."""

    def __init__(self, config: ServerConfig, in_flight: BytesInFlight) -> None:
        self.requests = Requests(in_flight)
        self._slow_arrivals = config.max_bytes_in_flight // config.max_request_bytes
        self._transfer_looks = config.transfer_timeout_s / _LOOK_EVERY_S

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        """A call begins; its message is received next."""
        handler = await continuation(details)
        if handler is not None and handler.unary_unary is not None:
            self.requests.begin()
            task = asyncio.current_task()
            assert task is not None
            task.add_done_callback(self.requests.end)
        return handler

    def handler(self, message: type[Message], answer: Answer) -> grpc.RpcMethodHandler:
        """A method that reads one message and answers with another.

        What `answer` raises becomes a status, as does a message that cannot be read.
        """

        async def call(content: bytes, context: Any) -> bytes:
            request = self.requests.of(asyncio.current_task())
            try:
                with request.answered():
                    request.held.reach(len(content))
                    request.enter(Stage.WORKING)
                    answered = await answer(_parsed(message, content), request)
                    serialized = answered.SerializeToString()
                    request.held.reach(len(serialized))
            except Exception as error:
                await _abort(context, error)
            request.enter(Stage.ANSWERING)
            return serialized

        return grpc.unary_unary_rpc_method_handler(call)

    async def watch(self) -> Never:
        """Cut the calls whose message, or whose client, takes too long."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            slow = []
            for request in self.requests.at(Stage.ARRIVING):
                request.looks += 1
                if request.looks > _LOOKS_TO_ARRIVE:
                    slow.append(request)
            for place, request in enumerate(slow):
                if place >= self._slow_arrivals or request.looks > self._transfer_looks:
                    request.cut()
            for request in self.requests.at(Stage.ANSWERING):
                request.looks += 1
                if request.looks > self._transfer_looks:
                    request.cut()


def _parsed(message: type[Message], content: bytes) -> Message:
    try:
        return message.FromString(content)
    except DecodeError as error:
        raise ServingError(Code.INTERNAL, f"The message is no {message.DESCRIPTOR.name}") from error


async def _abort(context: Any, error: Exception) -> Never:
    refusal = as_serving_error(error)
    await context.abort(refusal.code.grpc, refusal.message)
    raise AssertionError("abort raises")
