"""Conversion TensorProto <-> NumPy, for any TensorProto class: TensorFlow's or the client's.

Field numbers and element types are facts of the wire format, from
tensorflow/core/framework/{tensor,types}.proto. The code works on the fields directly: images are
one string element each, and generic converters spend their time on type inference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DT_FLOAT: Final = 1
DT_UINT8: Final = 4
DT_STRING: Final = 7
DT_HALF: Final = 19

# A few bytes may request any number of copies of the last value; this is the limit.
_MOST_REPEATED: Final = 1 << 24
_MOST_DIMS: Final = 64  # NumPy's own limit
_MOST_ELEMENTS: Final = (1 << 63) - 1
_MOST_VARINT_BYTES: Final = 10  # of 64 bits
_STRING_BYTES: Final = 24  # size of TensorFlow's string, without the characters of a long one
_ENCODED_AT_ONCE: Final = 1 << 16


class TensorError(ValueError):
    """A tensor on the wire that cannot be read or written; the message names the reason."""


@dataclass(frozen=True)
class _Kind:
    name: str
    numpy: np.dtype[Any]
    values: str  # the repeated field that holds the elements


_KINDS: Final = {
    1: _Kind("float", np.dtype(np.float32), "float_val"),
    2: _Kind("double", np.dtype(np.float64), "double_val"),
    3: _Kind("int32", np.dtype(np.int32), "int_val"),
    4: _Kind("uint8", np.dtype(np.uint8), "int_val"),
    5: _Kind("int16", np.dtype(np.int16), "int_val"),
    6: _Kind("int8", np.dtype(np.int8), "int_val"),
    7: _Kind("string", np.dtype(object), "string_val"),
    9: _Kind("int64", np.dtype(np.int64), "int64_val"),
    10: _Kind("bool", np.dtype(np.bool_), "bool_val"),
    17: _Kind("uint16", np.dtype(np.uint16), "int_val"),
    19: _Kind("half", np.dtype(np.float16), "half_val"),
    22: _Kind("uint32", np.dtype(np.uint32), "uint32_val"),
    23: _Kind("uint64", np.dtype(np.uint64), "uint64_val"),
}
# Types that a signature may name but whose tensors are not supported here.
_OTHER_NAMES: Final = {
    0: "invalid",
    8: "complex64",
    14: "bfloat16",
    18: "complex128",
    20: "resource",
    21: "variant",
}
_ENUM_OF: Final = {kind.numpy: enum for enum, kind in _KINDS.items()}


def dtype_name(enum: int) -> str:
    """Returns TensorFlow's name of a DataType number: 7 -> "string"."""
    if enum in _KINDS:
        return _KINDS[enum].name
    return _OTHER_NAMES.get(enum, f"DataType {enum}")


def enum_of(array: Array) -> int:
    """Returns the DataType number of an array; text and bytes of any width are strings.

    Raises:
        TensorError: the array's type has no DataType here.
    """
    if array.dtype.kind in "OSU":
        return DT_STRING
    enum = _ENUM_OF.get(array.dtype) or _ENUM_OF.get(array.dtype.newbyteorder("="))
    if enum is None:
        raise TensorError(f"arrays of {array.dtype} cannot be sent")
    return enum


def numpy_dtype(enum: int) -> np.dtype[Any]:
    """Returns the NumPy type of a DataType number; strings are objects (bytes).

    Raises:
        TensorError: the type is not supported here (complex, quantized, resources).
    """
    try:
        return _KINDS[enum].numpy
    except KeyError:
        raise TensorError(f"tensors of {dtype_name(enum)} are not supported") from None


def numpy_dtype_of_name(name: str) -> np.dtype[Any]:
    """Returns the NumPy type for TensorFlow's name of a type.

    Raises:
        TensorError: the type is not supported here.
    """
    for kind in _KINDS.values():
        if kind.name == name:
            return kind.numpy
    raise TensorError(f"tensors of {name} are not supported")


def string_array(values: Sequence[bytes], shape: Sequence[int] | None = None) -> Array:
    """Returns bytes as an object array; NumPy's own constructor would cut trailing zero bytes."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array if shape is None else array.reshape(shape)


def tensor_shape(proto: Any) -> list[int]:
    """Returns the shape that a TensorProto declares.

    Raises:
        TensorError: it is unknown, negative, or of more elements than a tensor can have.
    """
    declared = proto.tensor_shape
    if declared.unknown_rank:
        raise TensorError("the tensor has no shape")
    if len(declared.dim) > _MOST_DIMS:
        raise TensorError(f"the tensor has more than {_MOST_DIMS} dimensions")
    shape = [dim.size for dim in declared.dim]
    if min(shape, default=0) < 0:
        raise TensorError(f"the tensor's shape {shape} is not fully known")
    # Sizes of 0 are left out of the product, as in TensorFlow.
    if prod(filter(None, shape)) > _MOST_ELEMENTS:
        raise TensorError(f"the tensor's shape {shape} has too many elements")
    return shape


def tensor_bytes(proto: Any, shape: Sequence[int] | None = None) -> int:
    """Returns the decoded size of a tensor in bytes; strings count as TensorFlow stores them.

    A few bytes may request any number of copies of the last value, so check before decoding.

    Args:
        proto: a TensorProto.
        shape: its `tensor_shape`, if known already.

    Raises:
        TensorError: the type is not supported, or the shape is not known.
    """
    itemsize = numpy_dtype(proto.dtype).itemsize
    size = prod(tensor_shape(proto) if shape is None else shape)
    if proto.dtype != DT_STRING:
        return size * itemsize
    values = proto.string_val
    repeated = size - len(values)
    last = len(values[-1]) if repeated > 0 and values else 0
    return size * _STRING_BYTES + repeated * last + proto.ByteSize()


def decode_tensor(proto: Any, shape: Sequence[int] | None = None) -> Array:
    """Decodes a TensorProto in either form (typed values or raw content).

    A typed field shorter than the shape repeats its last value, as the format defines.

    Args:
        proto: a TensorProto.
        shape: its `tensor_shape`, if known already.

    Raises:
        TensorError: type not supported, shape unknown, or the values do not fill the shape.
    """
    dtype = numpy_dtype(proto.dtype)
    if shape is None:
        shape = tensor_shape(proto)
    size = prod(shape)
    try:
        if proto.tensor_content:
            flat = _from_content(proto.tensor_content, proto.dtype, size)
        else:
            flat = _from_values(proto, dtype, size)
        return flat.reshape(shape)
    except OverflowError as error:
        raise TensorError(f"a value does not fit {dtype_name(proto.dtype)}: {error}") from error


def _from_content(content: bytes, enum: int, size: int) -> Array:
    if enum == DT_STRING:
        return string_array(_split_strings(content, size))
    dtype = _KINDS[enum].numpy
    if len(content) != size * dtype.itemsize:
        raise TensorError(f"{len(content)} bytes of content do not fill {size} {dtype} elements")
    return np.frombuffer(content, dtype=dtype.newbyteorder("<")).astype(dtype, copy=False)


def _from_values(proto: Any, dtype: np.dtype[Any], size: int) -> Array:
    values = getattr(proto, _KINDS[proto.dtype].values)
    count = len(values)
    if count > size or (count == 0 and size > 0):
        raise TensorError(f"{count} values do not fill a tensor of {size} elements")
    if size - count > _MOST_REPEATED:
        raise TensorError(f"a tensor of {size} elements from {count} values is too large")
    if proto.dtype == DT_STRING:
        flat = string_array(values)
    elif proto.dtype == DT_HALF:
        flat = np.fromiter(values, dtype=np.uint16, count=count).view(np.float16)
    else:
        flat = np.fromiter(values, dtype=dtype, count=count)
    return flat if count == size else np.concatenate([flat, flat[-1:].repeat(size - count)])


def _split_strings(content: bytes, count: int) -> list[bytes]:
    """Splits raw string content: all lengths as varints, then all bytes."""
    lengths, position = [], 0
    try:
        for _ in range(count):
            length, position = _varint(content, position)
            lengths.append(length)
    except IndexError:
        raise TensorError("string content ends within its lengths") from None
    if position + sum(lengths) != len(content):
        raise TensorError("string content does not match its lengths")
    strings = []
    for length in lengths:
        strings.append(content[position : position + length])
        position += length
    return strings


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = 0
    for place in range(_MOST_VARINT_BYTES):
        byte = content[position + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, position + place + 1
    raise TensorError("string content has a length that does not end")


def encode_tensor(array: Array, proto: Any) -> None:
    """Encodes an array into an empty TensorProto, in the typed field, as TensorFlow Serving does.

    Raises:
        TensorError: the array's type has no DataType here.
    """
    enum = enum_of(array)
    proto.dtype = enum
    dims = proto.tensor_shape.dim
    for size in array.shape:
        dims.add().size = size
    values = getattr(proto, _KINDS[enum].values)
    flat = array.ravel()
    if enum == DT_STRING:
        values.extend(_as_bytes(flat))
    elif enum == DT_HALF:
        values.extend(flat.view(np.uint16).tolist())
    else:
        # Python numbers take eight times the space of the tensor's, so convert them in chunks.
        for start in range(0, len(flat), _ENCODED_AT_ONCE):
            values.extend(flat[start : start + _ENCODED_AT_ONCE].tolist())


def _as_bytes(flat: Array) -> list[bytes]:
    return [v.encode() if isinstance(v, str) else v for v in flat.tolist()]
