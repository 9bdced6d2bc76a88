"""Warm-up requests beside a model, which a server runs before it serves the version.

TensorFlow Serving's format: a TFRecord of PredictionLog messages at
`assets.extra/tf_serving_warmup_requests`, at most 1000 of them
(https://www.tensorflow.org/tfx/serving/saved_model_warmup).
"""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.contract.names import BYTES_INPUT, BYTES_SIGNATURE

WARMUP_PATH = "assets.extra/tf_serving_warmup_requests"
MAX_REQUESTS = 1000


def write_warmup(
    model_dir: Path, images: Sequence[bytes], *, max_requests: int = 8, max_bytes: int = 4 << 20
) -> int:
    """Writes warm-up requests with these images beside the SavedModel in `model_dir`.

    Each request sends one image to `serving_default`. Images beyond `max_bytes` in total, or beyond
    `max_requests` (never more than 1000), are left out. If none remains, no file is written and an
    existing one is removed.

    Returns:
        The number of requests written.
    """
    records: list[bytes] = []
    weight = 0
    for image in images:
        record = _request(image).SerializeToString(deterministic=True)
        if len(records) >= min(max_requests, MAX_REQUESTS):
            break
        if weight + len(record) <= max_bytes:
            records.append(record)
            weight += len(record)
    path = model_dir / WARMUP_PATH
    if not records:
        path.unlink(missing_ok=True)
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return len(records)


def _request(image: bytes) -> prediction_log_pb2.PredictionLog:
    request = predict_pb2.PredictRequest()
    request.model_spec.signature_name = BYTES_SIGNATURE
    request.inputs[BYTES_INPUT].CopyFrom(tf.make_tensor_proto([image], dtype=tf.string))
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )
