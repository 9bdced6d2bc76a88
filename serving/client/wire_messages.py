"""TensorFlow Serving's messages for a client without TensorFlow.

Only the fields that Predict, GetModelMetadata and GetModelStatus need are declared; protobuf skips
the others. Names, numbers and types match the public .proto files (tensorflow/core/framework and
protobuf, tensorflow_serving/apis), so the encoded messages are compatible. The classes have their
own descriptor pool, so they do not collide with TensorFlow's copies in the same process.
"""

from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

_Field = descriptor_pb2.FieldDescriptorProto


@dataclass(frozen=True)
class _F:
    """One field: its number, and its scalar type or the full name of its message."""

    name: str
    number: int
    type: int | str
    repeated: bool = False
    oneof: bool = False


@dataclass(frozen=True)
class _Map:
    """One map field with text keys."""

    name: str
    number: int
    message: str


_STRING, _BYTES, _BOOL = _Field.TYPE_STRING, _Field.TYPE_BYTES, _Field.TYPE_BOOL
_INT32, _INT64 = _Field.TYPE_INT32, _Field.TYPE_INT64
_UINT32, _UINT64 = _Field.TYPE_UINT32, _Field.TYPE_UINT64
_FLOAT, _DOUBLE = _Field.TYPE_FLOAT, _Field.TYPE_DOUBLE

# Enums travel as int32, so DataType, State and Code are declared as int32.
_TENSORFLOW: Final[dict[str, tuple[_F | _Map, ...]]] = {
    "TensorShapeProto": (
        _F("dim", 2, "tensorflow.TensorShapeProto.Dim", repeated=True),
        _F("unknown_rank", 3, _BOOL),
    ),
    "TensorProto": (
        _F("dtype", 1, _INT32),
        _F("tensor_shape", 2, "tensorflow.TensorShapeProto"),
        _F("version_number", 3, _INT32),
        _F("tensor_content", 4, _BYTES),
        _F("float_val", 5, _FLOAT, repeated=True),
        _F("double_val", 6, _DOUBLE, repeated=True),
        _F("int_val", 7, _INT32, repeated=True),
        _F("string_val", 8, _BYTES, repeated=True),
        _F("int64_val", 10, _INT64, repeated=True),
        _F("bool_val", 11, _BOOL, repeated=True),
        _F("half_val", 13, _INT32, repeated=True),
        _F("uint32_val", 16, _UINT32, repeated=True),
        _F("uint64_val", 17, _UINT64, repeated=True),
    ),
    "TensorInfo": (
        _F("name", 1, _STRING),
        _F("dtype", 2, _INT32),
        _F("tensor_shape", 3, "tensorflow.TensorShapeProto"),
    ),
    "SignatureDef": (
        _Map("inputs", 1, "tensorflow.TensorInfo"),
        _Map("outputs", 2, "tensorflow.TensorInfo"),
        _F("method_name", 3, _STRING),
    ),
}
_NESTED: Final = {"TensorShapeProto": {"Dim": (_F("size", 1, _INT64), _F("name", 2, _STRING))}}

_SERVING: Final[dict[str, tuple[_F | _Map, ...]]] = {
    "ModelSpec": (
        _F("name", 1, _STRING),
        _F("version", 2, "google.protobuf.Int64Value", oneof=True),
        _F("signature_name", 3, _STRING),
        _F("version_label", 4, _STRING, oneof=True),
    ),
    "PredictRequest": (
        _F("model_spec", 1, "tensorflow.serving.ModelSpec"),
        _Map("inputs", 2, "tensorflow.TensorProto"),
        _F("output_filter", 3, _STRING, repeated=True),
    ),
    "PredictResponse": (
        _Map("outputs", 1, "tensorflow.TensorProto"),
        _F("model_spec", 2, "tensorflow.serving.ModelSpec"),
    ),
    "StatusProto": (_F("error_code", 1, _INT32), _F("error_message", 2, _STRING)),
    "GetModelStatusRequest": (_F("model_spec", 1, "tensorflow.serving.ModelSpec"),),
    "ModelVersionStatus": (
        _F("version", 1, _INT64),
        _F("state", 2, _INT32),
        _F("status", 3, "tensorflow.serving.StatusProto"),
    ),
    "GetModelStatusResponse": (
        _F("model_version_status", 1, "tensorflow.serving.ModelVersionStatus", repeated=True),
    ),
    "SignatureDefMap": (_Map("signature_def", 1, "tensorflow.SignatureDef"),),
    "GetModelMetadataRequest": (
        _F("model_spec", 1, "tensorflow.serving.ModelSpec"),
        _F("metadata_field", 2, _STRING, repeated=True),
    ),
    "GetModelMetadataResponse": (
        _F("model_spec", 1, "tensorflow.serving.ModelSpec"),
        _Map("metadata", 2, "google.protobuf.Any"),
    ),
}


@dataclass(frozen=True)
class Messages:
    """Message classes of the client."""

    predict_request: Any
    predict_response: Any
    status_request: Any
    status_response: Any
    metadata_request: Any
    metadata_response: Any
    signature_def_map: Any


def build_messages() -> Messages:
    """Builds the classes; takes milliseconds, so call it once for each transport."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(any_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(_file("tensorflow", _TENSORFLOW))
    pool.Add(_file("tensorflow.serving", _SERVING))

    def message(name: str) -> Any:
        descriptor = pool.FindMessageTypeByName(f"tensorflow.serving.{name}")
        return message_factory.GetMessageClass(descriptor)

    return Messages(
        predict_request=message("PredictRequest"),
        predict_response=message("PredictResponse"),
        status_request=message("GetModelStatusRequest"),
        status_response=message("GetModelStatusResponse"),
        metadata_request=message("GetModelMetadataRequest"),
        metadata_response=message("GetModelMetadataResponse"),
        signature_def_map=message("SignatureDefMap"),
    )


def _file(
    package: str, messages: dict[str, tuple[_F | _Map, ...]]
) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    file.dependency.extend(["google/protobuf/wrappers.proto", "google/protobuf/any.proto"])
    if package != "tensorflow":
        file.dependency.append("tensorflow.proto")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for nested_name, nested_fields in _NESTED.get(name, {}).items():
            _add_fields(message.nested_type.add(name=nested_name), "", nested_fields)
        _add_fields(message, f"{package}.{name}", fields)
    return file


def _add_fields(
    message: descriptor_pb2.DescriptorProto, full_name: str, fields: tuple[_F | _Map, ...]
) -> None:
    for field in fields:
        if isinstance(field, _Map):
            _add_map(message, full_name, field)
            continue
        added = message.field.add(
            name=field.name,
            number=field.number,
            label=_Field.LABEL_REPEATED if field.repeated else _Field.LABEL_OPTIONAL,
        )
        _set_type(added, field.type)
        if field.oneof:
            if not message.oneof_decl:
                message.oneof_decl.add(name="version_choice")
            added.oneof_index = 0


def _add_map(message: descriptor_pb2.DescriptorProto, full_name: str, field: _Map) -> None:
    """Adds a map field: a repeated message of key and value with the map option."""
    entry_name = "".join(part.title() for part in field.name.split("_")) + "Entry"
    entry = message.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    _add_fields(entry, "", (_F("key", 1, _STRING), _F("value", 2, field.message)))
    added = message.field.add(name=field.name, number=field.number, label=_Field.LABEL_REPEATED)
    _set_type(added, f"{full_name}.{entry_name}")


def _set_type(field: descriptor_pb2.FieldDescriptorProto, kind: int | str) -> None:
    if isinstance(kind, str):
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f".{kind}"
    else:
        field.type = kind
