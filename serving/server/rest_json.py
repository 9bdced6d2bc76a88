"""Conversion between the JSON of TensorFlow Serving's REST API and arrays.

The format is described at https://www.tensorflow.org/tfx/serving/api_rest : rows under "instances"
are answered under "predictions", columns under "inputs" under "outputs"; binary values are {"b64":
"..."}; output names that end in `_bytes` are binary.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Any

import numpy as np

from serving.client.wire_tensors import DT_STRING, Array, dtype_name, numpy_dtype, string_array
from serving.server.errors import Code, ServingError
from serving.server.json_structure import check_structure
from serving.server.model import Arrays, SignatureSpec, TensorInfo

_SHOWN_CHARS = 256  # of a refused value
_WRITTEN_AT_ONCE = 1 << 16  # values of an answer

_WHITESPACE = str.maketrans("", "", " \t\r\n")


class Format(Enum):
    """Row or column format of a request, and so of its answer."""

    ROW = "predictions"
    COLUMN = "outputs"


@dataclass
class Body:
    """Request body, parsed as far as possible without the signature."""

    signature_name: str
    format: Format
    tensors: Any

    def take(self) -> Any:
        """Returns the tensors and releases them: their JSON takes up to ten times the space."""
        tensors, self.tensors = self.tensors, None
        return tensors


def parse_body(body: bytes | bytearray, max_values: int, max_depth: int) -> Body:
    """Parses the JSON of a predict request, after checking its size and structure.

    Raises:
        ServingError: INVALID_ARGUMENT, with TensorFlow Serving's message.
    """
    if not body:
        raise _invalid("JSON Parse error: The document is empty")
    check_structure(body, max_values, max_depth)
    try:
        # Bytes could be UTF-16, in which quotes are parts of other characters, and the check of the
        # structure would mistake the text after them for a string.
        parsed = json.loads(str(body, "utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise _invalid(f"JSON Parse error: {error}") from error
    if not isinstance(parsed, dict):
        raise _invalid(f"JSON Value: {_shown(parsed)} Is not object")
    name = parsed.get("signature_name", "")
    if not isinstance(name, str):
        raise _invalid("'signature_name' key must be a string value.")
    if "instances" in parsed and "inputs" in parsed:
        raise _invalid("expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in parsed:
        rows = parsed["instances"]
        if not isinstance(rows, list):
            raise _invalid("Expecting 'instances' to be an list/array")
        if not rows:
            raise _invalid("No values in 'instances' array")
        return Body(name, Format.ROW, rows)
    if "inputs" in parsed:
        return Body(name, Format.COLUMN, parsed["inputs"])
    raise _invalid("Missing 'inputs' or 'instances' key")


def read_inputs(body: Body, signature: SignatureSpec) -> Arrays:
    """Converts a body's tensors to the signature's arrays; the body releases them.

    Raises:
        ServingError: INVALID_ARGUMENT, naming the input or the element.
    """
    columns_of = _columns_of_rows if body.format is Format.ROW else _columns
    columns = columns_of(body.take(), signature.inputs)
    return {name: _array(name, value, signature.inputs[name]) for name, value in columns.items()}


def _columns_of_rows(rows: list[Any], inputs: Mapping[str, TensorInfo]) -> Mapping[str, Any]:
    if not _is_object(rows[0]):
        if len(inputs) > 1:
            raise _invalid(
                "instances is a plain list, but expecting list of objects as multiple "
                "input tensors required as per tensorinfo_map"
            )
        for index, row in enumerate(rows):
            if _is_object(row):
                raise _invalid(f"Expecting value/list but got object at item {index} of input list")
        return {next(iter(inputs)): rows}
    for index, row in enumerate(rows):
        if not _is_object(row):
            raise _invalid(f"Expecting object but got list at item {index} of input list")
        if row.keys() != inputs.keys():
            raise _invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: "
                f"{_shown(row)} keys must be equal to: {','.join(sorted(inputs))}"
            )
    return {name: [row[name] for row in rows] for name in inputs}


def _columns(value: Any, inputs: Mapping[str, TensorInfo]) -> Mapping[str, Any]:
    if _is_object(value):
        missing = [name for name in inputs if name not in value]
        if missing:
            raise _invalid(f"Missing named input: {missing[0]} in 'inputs' object.")
        return {name: value[name] for name in inputs}
    if len(inputs) > 1:
        raise _invalid(
            "inputs is a plain value/list, but expecting an object as multiple "
            "input tensors required as per tensorinfo_map"
        )
    return {next(iter(inputs)): value}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _array(name: str, value: Any, info: TensorInfo) -> Array:
    if info.dtype == DT_STRING:
        shape, flat = _shape_and_leaves(name, value)
        return string_array([_bytes_of(name, leaf) for leaf in flat], shape)
    return _numbers(name, value, info.dtype)


def _shape_and_leaves(name: str, value: Any) -> tuple[list[int], list[Any]]:
    """Returns the shape of nested lists, and their leaves in order."""
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list):
        sizes = {len(item) if isinstance(item, list) else -1 for item in level}
        if len(sizes) > 1:
            raise _invalid(f"input {name}: lists of unequal size at level {len(shape)}")
        shape.append(len(level[0]))
        level = [leaf for item in level for leaf in item]
    return shape, level


def _bytes_of(name: str, leaf: Any) -> bytes:
    if isinstance(leaf, str):
        try:
            return leaf.encode()
        except UnicodeEncodeError as error:
            raise _invalid(f"input {name}: a string is not UTF-8: {error.reason}") from error
    if _is_base64(leaf):
        return _decode_base64(leaf["b64"])
    raise _invalid(
        f"input {name}: JSON Value: {_shown(leaf)} is not of expected type: string"
        if not isinstance(leaf, dict)
        else f"JSON Value: {_shown(leaf)} not formatted correctly for base64 data"
    )


def _decode_base64(text: str) -> bytes:
    """Decodes standard base64; like TensorFlow Serving, allows white space and missing padding."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (ValueError, binascii.Error):
        bare = text.translate(_WHITESPACE).rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise _invalid("Unable to base64 decode") from None


def _numbers(name: str, value: Any, enum: int) -> Array:
    want = numpy_dtype(enum)
    # NumPy would convert numbers beside a string to strings of the same length.
    got = None if str in _leaf_types(value) else _rectangular(name, value)
    if got is not None and got.size == 0:
        return got.astype(want)
    if got is None or got.dtype.kind not in _JSON_KINDS[want.kind] or not _fits(got, want):
        raise _invalid(
            f"input {name}: JSON Value: {_shown(value)} is not of expected type: {dtype_name(enum)}"
        )
    return got.astype(want)


def _leaf_types(value: Any) -> set[type]:
    types: set[type] = set()
    level = [value]
    while level:
        here = set(map(type, level))
        types |= here - {list}
        lists = level if here == {list} else [item for item in level if isinstance(item, list)]
        level = list(chain.from_iterable(lists))
    return types


def _rectangular(name: str, value: Any) -> Array:
    try:
        return np.array(value)
    except (ValueError, OverflowError) as error:
        raise _invalid(f"input {name}: lists of unequal size: {error}") from error


# JSON types that each tensor type accepts: no decimals for integers.
_JSON_KINDS = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}


def _fits(got: Array, want: np.dtype[Any]) -> bool:
    if want.kind not in "iu":
        return True
    bounds = np.iinfo(want)
    return bool(bounds.min <= int(got.min()) and int(got.max()) <= bounds.max)


def write_outputs(outputs: Arrays, form: Format) -> bytes:
    """Formats the answer's JSON.

    Writes some rows at a time: the values of a raster take ten times the space of its tensor.

    Raises:
        ServingError: rows are requested and the outputs have none, or unequal numbers of them.
    """
    if form is Format.ROW:
        _check_rows(outputs)
        answer = _rows_json(outputs)
    elif len(outputs) == 1:
        [(name, array)] = outputs.items()
        answer = _column_json(name, array)
    else:
        columns = (f"{json.dumps(it)}: {_column_json(it, outputs[it])}" for it in outputs)
        answer = f"{{{', '.join(columns)}}}"
    return f'{{"{form.value}": {answer}}}'.encode()


def _rows_json(outputs: Arrays) -> str:
    rows = len(next(iter(outputs.values())))
    written = []
    for part in _parts(rows, sum(array.size for array in outputs.values())):
        values = {name: _json_values(name, array[part]) for name, array in outputs.items()}
        if len(values) == 1:
            answer = next(iter(values.values()))
        else:
            columns = zip(*values.values(), strict=True)
            answer = [dict(zip(values, row, strict=True)) for row in columns]
        written.append(json.dumps(answer)[1:-1])
    return f"[{', '.join(written)}]"


def _column_json(name: str, array: Array) -> str:
    if array.ndim == 0:
        return json.dumps(_json_values(name, array))
    parts = _parts(len(array), array.size)
    return f"[{', '.join(json.dumps(_json_values(name, array[part]))[1:-1] for part in parts)}]"


def _parts(rows: int, values: int) -> Iterator[slice]:
    """Yields slices of rows with about as many values as are written at a time."""
    step = max(1, _WRITTEN_AT_ONCE * rows // max(values, 1))
    return (slice(start, start + step) for start in range(0, rows, step))


def _check_rows(outputs: Arrays) -> None:
    batch_size = None
    for name, array in outputs.items():
        if array.ndim == 0:
            raise _invalid(f"Tensor name: {name} has no shape information ")
        if batch_size is not None and batch_size != len(array):
            raise _invalid(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} "
                f"expecting: {batch_size}"
            )
        batch_size = len(array)


def _json_values(name: str, array: Array) -> Any:
    if array.dtype == object:
        encode = _base64_object if name.endswith("_bytes") else _text
        return _nested([encode(value) for value in array.ravel().tolist()], array.shape)
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        return _nested(_decimals(array), array.shape)
    return array.tolist()


def _nested(flat: list[Any], shape: Sequence[int]) -> Any:
    """Returns flat values as nested lists of a shape."""
    if not shape:
        return flat[0]
    for size in reversed(shape[1:]):
        if not size:
            return np.empty(shape).tolist()
        flat = [flat[start : start + size] for start in range(0, len(flat), size)]
    return flat


def _decimals(array: Array) -> list[float]:
    """Returns doubles that print as the short decimals of single precision numbers.

    As in TensorFlow Serving: six digits if they restore the number, else nine. As a double, 0.2
    would be written as 0.20000000298023224.
    """
    flat = array.ravel()
    numbers = flat.tolist()
    short = [float(f"{number:.6g}") for number in numbers]
    restored = np.array(short, dtype=array.dtype).tolist()
    return [
        text if again == number else float(f"{number:.9g}")
        for text, again, number in zip(short, restored, numbers, strict=True)
    ]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _base64_object(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _shown(value: Any) -> str:
    """Returns the beginning of a value's JSON, without formatting the rest."""
    text = ""
    for piece in json.JSONEncoder().iterencode(value):
        text += piece[: _SHOWN_CHARS + 1]
        if len(text) > _SHOWN_CHARS:
            return f"{text[:_SHOWN_CHARS]}..."
    return text


def _invalid(message: str) -> ServingError:
    return ServingError(Code.INVALID_ARGUMENT, message)
