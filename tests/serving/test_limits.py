"""The bounds on one request and on all together, as pure functions; figures by hand."""

import json
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from tensorflow.core.framework import tensor_pb2

from serving.client.wire_tensors import TensorError, decode_tensor, tensor_bytes
from serving.server.errors import Code, ServingError
from serving.server.in_flight import BytesInFlight
from serving.server.json_structure import check_structure
from serving.server.limits import TensorLimits
from serving.server.model import SignatureSpec, TensorInfo
from serving.server.rest_json import Format, write_outputs

ROWS = SignatureSpec("s", {"x": TensorInfo(7, (None,))}, {"y": TensorInfo(1, (None,))})
FIXED = SignatureSpec("s", {"x": TensorInfo(1, (2, None))}, {"y": TensorInfo(1, ())})


def proto(dtype: int, shape: list[int], **values: list[object]) -> tensor_pb2.TensorProto:
    made = tensor_pb2.TensorProto(dtype=dtype)
    for size in shape:
        made.tensor_shape.dim.add().size = size
    for name, of_it in values.items():
        getattr(made, name).extend(of_it)
    return made


def content(dtype: int, shape: list[int], raw: bytes) -> tensor_pb2.TensorProto:
    made = proto(dtype, shape)
    made.tensor_content = raw
    return made


def test_the_memory_of_a_tensor_is_known_before_it_is_made() -> None:
    assert tensor_bytes(proto(1, [1_000_000, 3], float_val=[0.5])) == 12_000_000
    assert tensor_bytes(proto(9, [10], int64_val=range(10))) == 80
    # A million copies of 2,000 bytes, and TensorFlow's string around each.
    broadcast = proto(7, [1_000_000], string_val=[b"j" * 2000])
    assert 2_024_000_000 <= tensor_bytes(broadcast) < 2_024_010_000
    alone = proto(7, [2], string_val=[b"ab", b"c"])
    assert 2 * 24 + 3 <= tensor_bytes(alone) < 2 * 24 + 100


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (proto(1, [-1], float_val=[1]), "not fully known"),
        (proto(1, [0, 2**62, 2**62]), "too many elements"),
        (proto(1, [2**40, 2**40], float_val=[1]), "too many elements"),
        (proto(1, [1] * 65, float_val=[1]), "more than 64 dimensions"),
        (proto(1, [2], float_val=[1, 2, 3]), "3 values do not fill"),
        (proto(1, [2]), "0 values do not fill"),
        (proto(4, [1], int_val=[300]), "a value does not fit uint8"),
        # As one number it would have seven million digits, and take hours.
        (content(7, [1], b"\xff" * 1_000_000), "a length that does not end"),
    ],
)
def test_shapes_and_values_that_make_no_tensor(tensor: object, says: str) -> None:
    with pytest.raises(TensorError, match=says):
        decode_tensor(tensor)


def refusal(tensor: object, signature: SignatureSpec = ROWS, **limits: int) -> ServingError:
    given = {"max_rows": 10, "max_bytes": 10_000, **limits}
    held = BytesInFlight(1 << 20).begin()
    with pytest.raises(ServingError) as caught:
        TensorLimits(**given).read({"x": tensor}, signature, held)
    return caught.value


def test_rows_and_bytes_of_a_request() -> None:
    many = refusal(proto(7, [11], string_val=[b"a"]))
    assert (many.code, many.http_status) == (Code.INVALID_ARGUMENT, 400)
    assert "Task size 11 is larger than maximum input batch size 10" in many.message
    large = refusal(proto(7, [10], string_val=[b"a" * 1000]))
    assert (large.code, large.http_status) == (Code.RESOURCE_EXHAUSTED, 429)
    # What is not a row is bounded by its bytes alone.
    assert refusal(proto(1, [2, 1300], float_val=[0]), FIXED).code is Code.RESOURCE_EXHAUSTED
    held = BytesInFlight(1 << 20).begin()
    read = TensorLimits(10, 10_000).read({"x": proto(7, [10], string_val=[b"a"])}, ROWS, held)
    assert read["x"].tolist() == [b"a"] * 10


def test_other_names_are_refused_before_a_tensor_is_made() -> None:
    held = BytesInFlight(1 << 20).begin()
    with pytest.raises(ServingError, match=r"Sent extra: \{z\}. Missing but required: \{x\}"):
        TensorLimits(10, 10).read({"z": proto(1, [2**30], float_val=[0])}, ROWS, held)


def test_an_answer_is_refused_by_its_first_part() -> None:
    limits = TensorLimits(max_rows=10, max_bytes=1000)
    part = {"y": np.zeros(50, np.float32)}
    assert limits.check_answer(part, 5) == 1000
    with pytest.raises(ServingError, match="1200 bytes, more than max_tensor_bytes"):
        limits.check_answer(part, 6)


def test_a_request_holds_at_most_what_it_leaves_free() -> None:
    in_flight = BytesInFlight(100)
    first, second, small = in_flight.begin(), in_flight.begin(), in_flight.begin()
    with pytest.raises(ServingError) as caught:
        first.reach(51)
    assert (caught.value.code, caught.value.http_status) == (Code.RESOURCE_EXHAUSTED, 429)
    first.reach(50)
    with pytest.raises(ServingError, match="holds 50 bytes of other requests"):
        second.reach(26)
    second.reach(25)
    small.reach(12)  # while large ones are refused
    first.release()
    second.release()
    assert in_flight.held == 12
    second.reach(44)
    second.reach(10)  # never shrinks: what was held may still be there
    assert in_flight.held == 56
    with in_flight.hold() as other:
        other.reach(20)
        assert in_flight.held == 76
    assert in_flight.held == 56


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 5 + b"]" * 5,
        b'[[[[["[[[[[[[[[[{{{{"]]]]]',
        b'{"a": "\\"[[[[[[[[[[[", "b": [[1], [2], [3], [4], [5], [6]]}',
        json.dumps({"instances": [{"b64": "QUJD"}] * 40}).encode(),
        json.dumps(["a,b,c,d"] * 90).encode(),
    ],
)
def test_json_within_its_bounds(body: bytes) -> None:
    check_structure(body, max_values=100, max_depth=5)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[" * 6 + b"]" * 6, "nested 6 deep, more than 5"),
        (b"[" * 1_000_000, "more than 100 values"),
        (b"[" * 50, "nested 50 deep"),
        (b'{"a":' * 50, "nested 50 deep"),
        (json.dumps([0] * 101).encode(), "more than 100 values"),
        (b"[" + b"{}," * 60 + b"{}]", "more than 100 values"),
        (b'{"a": "\\\\' + b'", "b": ' + b"[" * 6, "nested 7 deep"),
        # A search for the string's end from each of its quotes would take hours.
        (b"[" * 6 + b'"' + b'\\"' * 500_000, "nested 6 deep"),
    ],
)
def test_json_beyond_its_bounds(body: bytes, says: str) -> None:
    with pytest.raises(ServingError, match=says) as caught:
        check_structure(body, max_values=100, max_depth=5)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("content", [b'"",,', b'\\"', b"a", b"[],"])
def test_looking_at_json_takes_little_memory(content: bytes) -> None:
    body = b'{"a": [' + content * (4_000_000 // len(content)) + b"[" * 6
    tracemalloc.start()
    try:
        with suppress(ServingError):
            check_structure(body, max_values=100, max_depth=5)
        assert tracemalloc.get_traced_memory()[1] < 40_000_000  # two copies, and some megabytes
    finally:
        tracemalloc.stop()


def test_strings_within_a_look_and_across_two() -> None:
    text = "[" * ((1 << 20) - 3)  # the string's end, or an escape in it, is in the second look
    for string in (text, text + '"', text[:-1] + "\\", text * 2):
        check_structure(json.dumps([string] * 2 + [[[[[1]]]]]).encode(), 100, 5)
        with pytest.raises(ServingError, match="nested 6 deep"):
            check_structure(json.dumps([string] * 2 + [[[[[[1]]]]]]).encode(), 100, 5)


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize("rows", [0, 1, 3, 200])
@pytest.mark.parametrize("names", [["raster"], ["raster", "text"]])
def test_an_answer_written_in_parts_is_the_same_json(
    form: Format, rows: int, names: list[str]
) -> None:
    rasters = np.arange(rows * 40 * 50).reshape(rows, 40, 50)
    texts = [f"row {row}, [it]" for row in range(rows)]
    arrays = {
        "raster": rasters,
        "text": np.array([text.encode() for text in texts], dtype=object),
    }
    values = {"raster": rasters.tolist(), "text": texts}
    expected: object = (
        values
        if form is Format.COLUMN
        else [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    )
    if names == ["raster"]:
        expected = values["raster"]
    written = write_outputs({name: arrays[name] for name in names}, form)
    assert written.decode() == json.dumps({form.value: expected})


def test_a_message_that_repeats_what_was_sent_is_cut() -> None:
    assert len(ServingError(Code.NOT_FOUND, "n" * 1_000_000).message) < 2100
