"""The client's own messages against TensorFlow's and tensorflow-serving-api's, both ways."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

from components.raster.task import TASKS
from serving.client.transport import CODE_NAMES, STATE_NAMES
from serving.client.wire_messages import build_messages
from serving.client.wire_tensors import (
    TensorError,
    decode_tensor,
    dtype_name,
    encode_tensor,
    string_array,
)
from serving.contract import names
from serving.tasks.registry import outputs_of

ARRAYS: list[Any] = [
    np.array([[1.5, -2.0], [np.inf, 0.1]], np.float32),
    np.array([1e300, -0.0]),
    np.array([-(2**31), 2**31 - 1], np.int32),
    np.array([-(2**63), 2**63 - 1], np.int64),
    np.array([0, 255], np.uint8),
    np.array([-128, 127], np.int8),
    np.array([-32768, 32767], np.int16),
    np.array([0, 65535], np.uint16),
    np.array([0, 2**32 - 1], np.uint32),
    np.array([0, 2**64 - 1], np.uint64),
    np.array([0.5, -1.25], np.float16),
    np.array([[True], [False]]),
    np.array(3.0, np.float32),
    np.zeros((0, 4), np.float32),
    string_array([b"", b"\x00\xff\x00", "ä".encode(), b"x"], (2, 2)),
    string_array([]),
]
IDS = [f"{array.dtype}{list(array.shape)}" for array in ARRAYS]


def same(left: Any, right: Any) -> None:
    assert left.dtype == right.dtype
    assert left.shape == right.shape
    np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("array", ARRAYS, ids=IDS)
def test_what_the_client_writes_tensorflow_reads(array: Any) -> None:
    request = build_messages().predict_request()
    encode_tensor(array, request.inputs["x"])
    theirs = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    same(tf.make_ndarray(theirs.inputs["x"]), array)


@pytest.mark.parametrize("array", ARRAYS, ids=IDS)
def test_what_tensorflow_writes_the_client_reads(array: Any) -> None:
    theirs = predict_pb2.PredictResponse()
    theirs.outputs["y"].CopyFrom(tf.make_tensor_proto(array))
    ours = build_messages().predict_response.FromString(theirs.SerializeToString())
    same(decode_tensor(ours.outputs["y"]), array)


def test_typed_values_are_written_as_tensorflow_serving_writes_them() -> None:
    """Tutorials read `outputs["scores"].float_val`, so the values must lie there."""
    proto = tensor_pb2.TensorProto()
    encode_tensor(np.array([0.25, 0.5], np.float32), proto)
    assert list(proto.float_val) == [0.25, 0.5]
    assert not proto.tensor_content


def test_a_short_list_of_values_repeats_its_last_one() -> None:
    proto = tf.make_tensor_proto(7.0, shape=[2, 3])
    assert len(proto.float_val) == 1
    same(decode_tensor(proto), np.full((2, 3), 7.0, np.float32))


def test_strings_as_raw_content() -> None:
    """TensorFlow Serving's --enable_serialization_as_tensor_content: lengths, then bytes."""
    long = b"y" * 300
    proto = tensor_pb2.TensorProto(dtype=7, tensor_content=b"\x01\xac\x02x" + long)
    proto.tensor_shape.dim.add(size=2)
    same(decode_tensor(proto), string_array([b"x", long]))


def proto(dtype: int, sizes: list[int], **fields: Any) -> Any:
    message = tensor_pb2.TensorProto(dtype=dtype, **fields)
    for size in sizes:
        message.tensor_shape.dim.add(size=size)
    return message


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (proto(8, [1], scomplex_val=[1, 1]), "complex64"),
        (proto(1, [-1], float_val=[1]), "not fully known"),
        (proto(1, [2]), "0 values do not fill"),
        (proto(1, [1], float_val=[1, 2]), "2 values do not fill"),
        (proto(1, [2], tensor_content=b"1234"), "4 bytes of content"),
        (proto(7, [2], tensor_content=b"\x01"), "ends within its lengths"),
        (proto(7, [1], tensor_content=b"\x05x"), "does not match its lengths"),
        (proto(1, [1 << 40], float_val=[1]), "too large"),
    ],
)
def test_tensors_that_cannot_be_read(message: Any, says: str) -> None:
    with pytest.raises(TensorError, match=says):
        decode_tensor(message)


def test_requests_and_answers_about_the_model() -> None:
    ours = build_messages()
    status = get_model_status_pb2.GetModelStatusResponse()
    entry = status.model_version_status.add(version=3, state=50)
    entry.status.error_code = 5
    entry.status.error_message = "gone"
    read = ours.status_response.FromString(status.SerializeToString()).model_version_status[0]
    assert (read.version, read.state) == (3, 50)
    assert (read.status.error_code, read.status.error_message) == (5, "gone")

    request = ours.metadata_request(metadata_field=["signature_def"])
    request.model_spec.name = "m"
    request.model_spec.version.value = 4
    theirs = get_model_metadata_pb2.GetModelMetadataRequest.FromString(request.SerializeToString())
    assert theirs.metadata_field == ["signature_def"]
    assert theirs.model_spec.version.value == 4
    request.model_spec.version_label = "stable"
    theirs = get_model_metadata_pb2.GetModelMetadataRequest.FromString(request.SerializeToString())
    assert theirs.model_spec.WhichOneof("version_choice") == "version_label"


def test_names_of_numbers_are_tensorflows() -> None:
    states = get_model_status_pb2.ModelVersionStatus.State
    assert {states.Value(name): name for name in STATE_NAMES.values()} == STATE_NAMES
    for number, name in enumerate(CODE_NAMES):
        assert getattr(tf.errors, name, number) == number
    for dtype in (tf.float32, tf.string, tf.int64, tf.bool, tf.float16, tf.uint8):
        assert dtype_name(dtype.as_datatype_enum) == {"float32": "float", "float16": "half"}.get(
            dtype.name, dtype.name
        )


def test_the_names_of_the_served_contract_are_fixed() -> None:
    """Clients in the field depend on them, so they must not change."""
    assert names.INPUT_OF == {"serving_default": "image_bytes", "serving_examples": "examples"}
    assert {task: outputs_of(task) for task in TASKS} == {
        "single_label": ("class", "probabilities", "classes"),
        "multi_label": ("probabilities", "classes", "present"),
        "regression": ("value",),
        "segmentation": ("class_raster", "confidence", "classes"),
        "detection": ("boxes", "box_labels", "box_classes", "box_scores", "classes"),
    }
