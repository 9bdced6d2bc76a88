"""The fields of a message are counted before it is parsed; messages as protobuf writes them."""

import time

import pytest
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from serving.server.errors import Code, ServingError
from serving.server.message_structure import check_fields

MB = 1 << 20


def request(**tensor: object) -> predict_pb2.PredictRequest:
    made = predict_pb2.PredictRequest()
    made.model_spec.name = "m"
    made.inputs["x"].CopyFrom(tensor_pb2.TensorProto(**tensor))
    return made


def check(content: bytes, max_fields: int) -> None:
    check_fields(content, predict_pb2.PredictRequest.DESCRIPTOR, max_fields)


# model_spec and its name, the entry of the map, its key and value, and the tensor's type: 6.
@pytest.mark.parametrize(
    ("made", "fields"),
    [
        (request(dtype=7, string_val=[b"j" * MB]), 7),
        (request(dtype=7, string_val=[b""] * 50_000), 50_006),
        (request(dtype=1, float_val=[0.5] * 100_000), 7),
        (request(dtype=1, tensor_content=bytes(MB)), 7),
        # Each of a shape's sizes is a field that holds another.
        (request(dtype=1, tensor_shape={"dim": [{"size": 5}] * 30_000}), 60_007),
        (request(dtype=21, variant_val=[{"tensors": [{"dtype": 1}] * 30_000}]), 60_007),
    ],
)
def test_fields_at_any_depth(made: predict_pb2.PredictRequest, fields: int) -> None:
    content = made.SerializeToString()
    check(content, fields)
    with pytest.raises(ServingError, match=f"more than {fields - 1} fields") as caught:
        check(content, fields - 1)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * MB,  # a tag without an end
        b"\x0a\xff\xff\xff\x7f" + bytes(MB),  # longer than the message
        request(dtype=7, string_val=[b"j" * MB]).SerializeToString()[:-1],
        b"\x12" * MB,
    ],
)
def test_what_is_no_message_is_left_to_the_parser(content: bytes) -> None:
    check(content, 10**6)


@pytest.mark.parametrize("content", [b"\x12\x00" * (8 * MB), b"\x0b" * (8 * MB)])
def test_looking_at_a_message_ends_with_its_bound(content: bytes) -> None:
    started = time.process_time()
    with pytest.raises(ServingError, match="more than 1000 fields"):
        check(content, 1000)
    assert time.process_time() - started < 0.5
