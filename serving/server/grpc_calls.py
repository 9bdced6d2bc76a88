"""Unary gRPC calls, from the first byte of a message until its answer is taken.

gRPC's core receives messages on its own and tells nothing of one before it is whole. So what is
bounded is how many may take their time to arrive; whatever has arrived counts as bytes in flight.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Never

import grpc
from google.protobuf.message import DecodeError, Message

from serving.server.config import ServerConfig
from serving.server.errors import Code, ServingError
from serving.server.in_flight import BytesInFlight
from serving.server.message_structure import check_fields
from serving.server.predictor import as_serving_error
from serving.server.requests import Request, Requests, Stage

_LOOK_EVERY_S = 0.1
# A look takes place between turns of the event loop, so that a busy server makes no call old.
_LOOKS_TO_ARRIVE = 3

Answer = Callable[[Any, Request], Awaitable[Message]]


class Calls:
    """All unary calls of a server.

    To gRPC they are streams of one message, which is the same on the wire: a handler of a stream
    is there before its message, and so can refuse what takes too long to arrive.
    """

    def __init__(self, config: ServerConfig, in_flight: BytesInFlight) -> None:
        self.requests = Requests(in_flight)
        self._max_fields = config.max_message_fields
        self._slow_arrivals = config.max_bytes_in_flight // config.max_request_bytes
        self._arrival_looks = config.transfer_timeout_s / _LOOK_EVERY_S

    def handler(
        self, message: type[Message], answer: Answer, *, always: bool = False
    ) -> grpc.RpcMethodHandler:
        """A method that reads one message and answers with another.

        What `answer` raises becomes a status, as does a message that cannot be read. A method that
        is not to answer `always` refuses calls that come when the server is stopping.
        """

        async def call(messages: AsyncIterator[bytes], context: Any) -> bytes:
            request = self._begin()
            try:
                with request.answered():
                    if not always:
                        self.requests.check_open()
                    asked = await self._received(message, messages, request)
                    answered = await answer(asked, request)
                    serialized = answered.SerializeToString()
                    request.held.reach(len(serialized))
            except Exception as error:
                await _abort(context, error)
            request.enter(Stage.ANSWERING)
            return serialized

        return grpc.stream_unary_rpc_method_handler(call)

    def stream(
        self, message: type[Message], serve: Callable[[Any, Any], Awaitable[None]]
    ) -> grpc.RpcMethodHandler:
        """A method that reads one message and answers with many, for as long as the client likes.

        It is a request only until its message is there: nobody waits for its end.
        """

        async def call(messages: AsyncIterator[bytes], context: Any) -> None:
            request = self._begin()
            try:
                with request.answered():
                    asked = await self._received(message, messages, request)
            except Exception as error:
                await _abort(context, error)
            self.requests.end(asyncio.current_task())
            await serve(asked, context)

        return grpc.stream_stream_rpc_method_handler(
            call, response_serializer=lambda answer: answer.SerializeToString()
        )

    def _begin(self) -> Request:
        """It ends with gRPC's own task, when the client has taken the answer."""
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(self.requests.end)
        return self.requests.begin()

    async def _received(
        self, message: type[Message], messages: AsyncIterator[bytes], request: Request
    ) -> Message:
        async for content in messages:
            request.held.reach(len(content))
            request.enter(Stage.WORKING)
            check_fields(content, message.DESCRIPTOR, self._max_fields)
            return _parsed(message, content)
        raise ServingError(Code.INTERNAL, "There is no message in the call")

    async def watch(self) -> Never:
        """Cut the calls whose message takes too long."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            slow = []
            for request in self.requests.at(Stage.ARRIVING):
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
        raise ServingError(Code.INTERNAL, f"The message is no {message.DESCRIPTOR.name}") from error


async def _abort(context: Any, error: Exception) -> Never:
    refusal = as_serving_error(error)
    await context.abort(refusal.code.grpc, refusal.message)
    raise AssertionError("abort raises")
