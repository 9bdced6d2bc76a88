"""The REST API's JSON, by the examples and rules of its documentation."""

import base64
import json
import tracemalloc
from typing import Any

import numpy as np
import pytest

from serving.client.wire_tensors import string_array
from serving.server.errors import Code, ServingError
from serving.server.model import SignatureSpec, TensorInfo
from serving.server.rest_json import Format, parse_body, read_inputs, write_outputs

FLOAT, INT32, STRING, INT64, BOOL = 1, 3, 7, 9, 10


def signature(**dtypes: int) -> SignatureSpec:
    return SignatureSpec("s", {name: TensorInfo(dtype, None) for name, dtype in dtypes.items()}, {})


def read(body: Any, **dtypes: int) -> dict[str, Any]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    parsed = parse_body(content, max_values=1000, max_depth=32)
    return {k: v.tolist() for k, v in read_inputs(parsed, signature(**dtypes)).items()}


def b64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


@pytest.mark.parametrize(
    ("body", "dtypes", "expected"),
    [
        ({"instances": ["foo", "bar"]}, {"s": STRING}, {"s": [b"foo", b"bar"]}),
        ({"instances": [1.0, 2, 5]}, {"x": FLOAT}, {"x": [1.0, 2.0, 5.0]}),
        ({"instances": [[[1, 2]], [[3, 4]]]}, {"x": INT32}, {"x": [[[1, 2]], [[3, 4]]]}),
        ({"instances": [b64(b"\x00\xff")]}, {"s": STRING}, {"s": [b"\x00\xff"]}),
        (
            {"instances": [{"t": "a", "n": [1, 2]}, {"t": "b", "n": [3, 4]}]},
            {"t": STRING, "n": INT64},
            {"t": [b"a", b"b"], "n": [[1, 2], [3, 4]]},
        ),
        (
            {"instances": [{"image": b64(b"1"), "w": True}, {"image": b64(b"2"), "w": False}]},
            {"image": STRING, "w": BOOL},
            {"image": [b"1", b"2"], "w": [True, False]},
        ),
        (
            {"inputs": {"t": ["a"], "n": [[1]]}},
            {"t": STRING, "n": INT64},
            {"t": [b"a"], "n": [[1]]},
        ),
        ({"inputs": [[1.5], [2]]}, {"x": FLOAT}, {"x": [[1.5], [2.0]]}),
        ({"inputs": b64(b"x")}, {"s": STRING}, {"s": b"x"}),
        ({"inputs": {"s": [b64(b"x"), "text"]}}, {"s": STRING}, {"s": [b"x", b"text"]}),
        ({"instances": [{"b64": "YWJj\nZA"}]}, {"s": STRING}, {"s": [b"abcd"]}),
        ({"inputs": []}, {"x": FLOAT}, {"x": []}),
    ],
)
def test_requests(body: Any, dtypes: dict[str, int], expected: dict[str, Any]) -> None:
    assert read(body, **dtypes) == expected


@pytest.mark.parametrize(
    ("body", "dtypes", "says"),
    [
        (b"", {"x": FLOAT}, "JSON Parse error: The document is empty"),
        (b"{", {"x": FLOAT}, "JSON Parse error"),
        (b"[" * 100_000, {"x": FLOAT}, "max_json_values"),
        ([1], {"x": FLOAT}, "Is not object"),
        ({}, {"x": FLOAT}, "Missing 'inputs' or 'instances' key"),
        ({"instances": [1], "inputs": [1]}, {"x": FLOAT}, "only one of 'inputs' or 'instances'"),
        ({"instances": 3}, {"x": FLOAT}, "Expecting 'instances' to be an list/array"),
        ({"instances": []}, {"x": FLOAT}, "No values in 'instances' array"),
        ({"instances": [1], "signature_name": 3}, {"x": FLOAT}, "must be a string value"),
        ({"instances": [1]}, {"x": FLOAT, "y": FLOAT}, "instances is a plain list"),
        ({"inputs": [1]}, {"x": FLOAT, "y": FLOAT}, "inputs is a plain value/list"),
        ({"inputs": {"x": [1]}}, {"x": FLOAT, "y": FLOAT}, "Missing named input: y"),
        ({"instances": [{"x": 1}, 2]}, {"x": FLOAT}, "got list at item 1"),
        ({"instances": [1, {"x": 2}]}, {"x": FLOAT}, "got object at item 1"),
        ({"instances": [{"z": 1}]}, {"x": FLOAT}, "keys must be equal to: x"),
        ({"instances": [[1], [1, 2]]}, {"x": FLOAT}, "unequal size"),
        ({"instances": ["a"]}, {"x": FLOAT}, "not of expected type: float"),
        ({"instances": [None]}, {"x": FLOAT}, "not of expected type: float"),
        ({"instances": [1.5]}, {"x": INT32}, "not of expected type: int32"),
        ({"instances": [2**40]}, {"x": INT32}, "not of expected type: int32"),
        ({"instances": [2**70]}, {"x": INT64}, "not of expected type: int64"),
        ({"instances": [1]}, {"s": STRING}, "not of expected type: string"),
        ({"instances": [["a"], ["b", "c"]]}, {"s": STRING}, "unequal size"),
        ({"instances": ["a", ["b"]]}, {"s": STRING}, "not of expected type: string"),
        ({"instances": [{"b64": "%%%"}]}, {"s": STRING}, "Unable to base64 decode"),
        ({"instances": [{"b64": "A"}]}, {"s": STRING}, "Unable to base64 decode"),
    ],
)
def test_refused_requests(body: Any, dtypes: dict[str, int], says: str) -> None:
    with pytest.raises(ServingError, match=says) as caught:
        read(body, **dtypes)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize("rows", [[1] * 20_000 + ["x" * 3000], [[[1.5] * 20_000, ["x" * 3000]]]])
def test_a_string_among_numbers_costs_no_memory(rows: Any) -> None:
    content = json.dumps({"instances": rows}).encode()
    tracemalloc.start()
    try:
        with pytest.raises(ServingError, match="not of expected type: float"):
            read_inputs(parse_body(content, 100_000, 32), signature(x=FLOAT))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_the_json_is_not_kept_beside_the_arrays() -> None:
    body = parse_body(b'{"instances": [1, 2]}', 1000, 32)
    assert read_inputs(body, signature(x=FLOAT))["x"].tolist() == [1.0, 2.0]
    assert body.tensors is None


FLOATS = np.array([0.1, 2.0, 1e-9], np.float32)


@pytest.mark.parametrize(
    ("outputs", "form", "expected"),
    [
        ({"y": FLOATS}, Format.ROW, {"predictions": [0.1, 2.0, 1e-9]}),
        ({"y": FLOATS}, Format.COLUMN, {"outputs": [0.1, 2.0, 1e-9]}),
        (
            {"a": np.array([[1], [2]]), "t": string_array([b"x", "ä".encode()])},
            Format.ROW,
            {"predictions": [{"a": [1], "t": "x"}, {"a": [2], "t": "ä"}]},
        ),
        (
            {"a": np.array([[1], [2]]), "t": string_array([b"x", b"y"])},
            Format.COLUMN,
            {"outputs": {"a": [[1], [2]], "t": ["x", "y"]}},
        ),
        ({"x_bytes": string_array([b"\xff"])}, Format.ROW, {"predictions": [{"b64": "/w=="}]}),
        ({"n": np.array(7)}, Format.COLUMN, {"outputs": 7}),
        ({"b": np.array([True, False])}, Format.ROW, {"predictions": [True, False]}),
    ],
)
def test_answers(outputs: dict[str, Any], form: Format, expected: dict[str, Any]) -> None:
    assert json.loads(write_outputs(outputs, form)) == expected


def test_numbers_that_json_does_not_have_are_written_as_tf_serving_writes_them() -> None:
    values = np.array([np.nan, np.inf, -np.inf], np.float32)
    assert (
        write_outputs({"y": values}, Format.ROW) == b'{"predictions": [NaN, Infinity, -Infinity]}'
    )


def test_single_precision_survives_the_trip() -> None:
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    answer = json.loads(write_outputs({"y": values}, Format.COLUMN))["outputs"]
    np.testing.assert_array_equal(np.array(answer, np.float32), values)


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ({"n": np.array(7)}, "has no shape information"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, "inconsistent batch size"),
    ],
)
def test_outputs_that_are_no_rows(outputs: dict[str, Any], says: str) -> None:
    with pytest.raises(ServingError, match=says):
        write_outputs(outputs, Format.ROW)
