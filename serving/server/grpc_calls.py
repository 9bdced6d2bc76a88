"""Unary gRPC calls, from the first byte of a message until the client has received the answer.

A handler sees a message only when it is complete. So this module limits the number of slow
arrivals; a message that has arrived counts as bytes in flight.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Never

import grpc
from google.protobuf.message import DecodeError, Message

from serving.server.config import ServerConfig
from serving.server.errors import Code, ServingError
from serving.server.in_flight import BytesInFlight
from serving.server.message_structure import check_fields
from serving.server.predictor import as_serving_error
from serving.server.requests import Request, Requests, RequestStage

_LOOK_EVERY_S = 0.1
# Checks happen between turns of the event loop, so calls do not look slow on a busy server.
_LOOKS_TO_ARRIVE = 3

Handler = Callable[[Any, Request], Awaitable[Message]]


class Calls:
    """All unary calls of a server.

    They are registered as streams of one message, which is identical on the wire: a stream's
    handler starts before its message arrives, so it can refuse messages that arrive too slowly.
    """

    def __init__(self, config: ServerConfig, in_flight: BytesInFlight) -> None:
        self.requests = Requests(in_flight)
        self._max_fields = config.max_message_fields
        self._slow_arrivals = config.max_bytes_in_flight // config.max_request_bytes
        self._arrival_looks = config.transfer_timeout_s / _LOOK_EVERY_S

    def handler(
        self, message: type[Message], answer: Handler, *, always: bool = False
    ) -> grpc.RpcMethodHandler:
        """Returns a method handler that reads one message and answers with another.

        An error of `answer` becomes a status, as does an unreadable message. Unless `always` is
        set, the method refuses calls while the server is stopping.
        """

        async def call(messages: object, context: Any) -> bytes:
            request = self._begin()
            try:
                with request:
                    if not always:
                        self.requests.check_open()
                    received = await self._received(message, context, request)
                    answered = await answer(received, request)
                    serialized = answered.SerializeToString()
                    request.held.reach(len(serialized))
            except Exception as error:
                await _abort(context, error)
            request.enter(RequestStage.ANSWERING)
            return serialized

        return grpc.stream_unary_rpc_method_handler(call)

    def stream(
        self, message: type[Message], serve: Callable[[Any, Any], Awaitable[None]]
    ) -> grpc.RpcMethodHandler:
        """Returns a method handler that reads one message and sends many, until the client cancels.

        It counts as a request only until its message has arrived: shutdown does not wait for its
        end.
        """

        async def call(messages: object, context: Any) -> None:
            request = self._begin()
            try:
                with request:
                    received = await self._received(message, context, request)
            except Exception as error:
                await _abort(context, error)
            self.requests.end(asyncio.current_task())
            await serve(received, context)

        return grpc.stream_stream_rpc_method_handler(
            call, response_serializer=lambda answer: answer.SerializeToString()
        )

    def _begin(self) -> Request:
        """Begins a request, which ends with gRPC's task, when the client has the answer."""
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(self.requests.end)
        return self.requests.begin()

    async def _received(self, message: type[Message], context: Any, request: Request) -> Message:
        # The iterator of messages would be an asynchronous generator, whose end takes a task.
        content = await context.read()
        if content is grpc.aio.EOF:
            raise ServingError(Code.INTERNAL, "There is no message in the call")
        request.held.reach(len(content))
        request.enter(RequestStage.WORKING)
        check_fields(content, message.DESCRIPTOR, self._max_fields)
        return _parsed(message, content)

    async def watch(self) -> Never:
        """Cuts calls whose message arrives too slowly."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            slow = []
            for request in self.requests.at(RequestStage.ARRIVING):
                request.looks += 1
                if request.looks > _LOOKS_TO_ARRIVE:
                    slow.append(request)
            for place, request in enumerate(slow):
                if request.looks > self._arrival_looks:
                    request.cut(_late())
                elif place >= self._slow_arrivals:
                    request.cut(_too_many())


def _late() -> ServingError:
    return ServingError(Code.DEADLINE_EXCEEDED, "The message did not arrive in time")


def _too_many() -> ServingError:
    return ServingError(
        Code.RESOURCE_EXHAUSTED, "Too many messages take long to arrive. Try again later."
    )


def _parsed(message: type[Message], content: bytes) -> Message:
    try:
        return message.FromString(content)
    except DecodeError as error:
        name = message.DESCRIPTOR.name
        raise ServingError(Code.INTERNAL, f"The message is not a {name}") from error


async def _abort(context: Any, error: Exception) -> Never:
    refusal = as_serving_error(error)
    await context.abort(refusal.code.grpc, refusal.message)
    raise AssertionError("abort raises")
