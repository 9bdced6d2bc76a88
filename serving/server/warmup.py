"""Warm-up requests of a SavedModel, run before it serves, as in TensorFlow Serving.

`assets.extra/tf_serving_warmup_requests` is a TFRecord file of PredictionLog messages. Only its
Predict requests are run, because the server answers no others.
"""

from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from components.raster.graph_errors import plain_message
from serving.client.wire_tensors import TensorError, decode_tensor
from serving.server.errors import Code, ServingError
from serving.server.model import DEFAULT_SIGNATURE, LoadedModel

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
_MAX_RECORDS = 1000  # TensorFlow Serving's own limit


def warm_up(model: LoadedModel) -> int:
    """Runs the model's warm-up requests; returns their number, 0 without a file.

    Raises:
        ServingError: the file cannot be read, or a request in it fails; as in TensorFlow Serving,
            the version is then not served.
    """
    path = model.path / WARMUP_FILE
    if not path.is_file():
        return 0
    ran = 0
    try:
        for record in tf.data.TFRecordDataset(str(path)).take(_MAX_RECORDS).as_numpy_iterator():
            ran += _run(model, prediction_log_pb2.PredictionLog.FromString(record))
    except (tf.errors.OpError, TensorError, ValueError) as error:
        message = plain_message(getattr(error, "message", None) or str(error))
        raise ServingError(Code.INVALID_ARGUMENT, f"warm-up file {path}: {message}") from error
    except ServingError as error:
        raise ServingError(error.code, f"warm-up file {path}: {error.message}") from error
    return ran


def _run(model: LoadedModel, log: prediction_log_pb2.PredictionLog) -> int:
    if not log.HasField("predict_log"):
        return 0
    request = log.predict_log.request
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in model.signatures:
        raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    model.signatures[name].check_names(request.inputs.keys())
    inputs = {key: decode_tensor(proto) for key, proto in request.inputs.items()}
    model.signatures[name].check(inputs)
    model.run(name, inputs)
    return 1
