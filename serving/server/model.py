"""One version of a SavedModel in memory: what its signatures take, and running them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from serving.server.errors import Code, ServingError, code_of_number
from serving.versions import MODEL_FILE
from serving.wire_tensors import Array, dtype_name, enum_of

SERVE_TAG = "serve"
DEFAULT_SIGNATURE = "serving_default"

Arrays = Mapping[str, Array]

_SERVABLE_METHODS = frozenset(
    f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress")
)


@dataclass(frozen=True)
class TensorInfo:
    """Type and shape of a named input or output; None is an unknown size, or an unknown rank."""

    dtype: int
    shape: tuple[int | None, ...] | None

    @property
    def has_free_batch_dim(self) -> bool:
        """Whether rows of several requests may be put together along the first dimension."""
        return self.shape is None or (len(self.shape) > 0 and self.shape[0] is None)


@dataclass(frozen=True)
class Signature:
    """What one signature takes and gives."""

    name: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]

    @property
    def batchable(self) -> bool:
        """Whether requests to it may share a batch."""
        tensors = [*self.inputs.values(), *self.outputs.values()]
        return bool(self.inputs) and all(info.has_free_batch_dim for info in tensors)

    def check(self, inputs: Arrays) -> None:
        """Refuse inputs of other names or types, before they can spoil a batch.

        Shapes are the model's own affair: as in TensorFlow Serving those of a signature are a
        description, and graphs of TensorFlow 1 take others.

        Raises:
            ServingError: INVALID_ARGUMENT, naming the input.
        """
        if inputs.keys() != self.inputs.keys():
            raise ServingError(Code.INVALID_ARGUMENT, self._wrong_names(inputs))
        for name, array in inputs.items():
            info = self.inputs[name]
            if enum_of(array) != info.dtype:
                raise ServingError(
                    Code.INVALID_ARGUMENT,
                    f"input {name} is {dtype_name(enum_of(array))}, "
                    f"expected {dtype_name(info.dtype)}",
                )

    def _wrong_names(self, inputs: Arrays) -> str:
        extra = sorted(inputs.keys() - self.inputs.keys())
        missing = sorted(self.inputs.keys() - inputs.keys())
        return (
            f"input size does not match signature: {len(inputs)}!={len(self.inputs)}. "
            f"Sent extra: {{{','.join(extra)}}}. Missing but required: {{{','.join(missing)}}}."
        )


class LoadedModel:
    """A SavedModel that answers; thread-safe, as TensorFlow's functions are."""

    def __init__(self, version: int, path: Path, module: Any, graph: Any) -> None:
        self.version = version
        self.path = path
        self.signature_defs: Mapping[str, meta_graph_pb2.SignatureDef] = graph.signature_def
        self._module = module  # its variables live as long as somebody holds it
        self._functions: Mapping[str, Any] = module.signatures
        self.signatures = {
            name: _signature(name, definition)
            for name, definition in self.signature_defs.items()
            if name in self._functions and definition.method_name in _SERVABLE_METHODS
        }

    def run(self, signature: str, inputs: Arrays) -> dict[str, Array]:
        """All outputs of a signature, by name.

        Raises:
            ServingError: with the model's own code and message.
        """
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        try:
            outputs = self._functions[signature](**tensors)
            return {name: tensor.numpy() for name, tensor in outputs.items()}
        except tf.errors.OpError as error:
            message = _model_message(error.message or type(error).__name__)
            raise ServingError(code_of_number(error.error_code), message) from error
        except (TypeError, ValueError) as error:  # how functions refuse what they cannot bind
            raise ServingError(Code.INVALID_ARGUMENT, f"signature {signature}: {error}") from error


def load_model(version: int, path: Path) -> LoadedModel:
    """Load the SavedModel in `path`.

    Raises:
        ServingError: with a code and a message that can be shown in the model's status.
    """
    try:
        graph = _serving_graph(path)
        module = tf.saved_model.load(str(path), tags=[SERVE_TAG])
        return LoadedModel(version, path, module, graph)
    except ServingError:
        raise
    except tf.errors.OpError as error:
        raise ServingError(code_of_number(error.error_code), f"{path}: {error.message}") from error
    except FileNotFoundError as error:
        raise ServingError(Code.NOT_FOUND, f"{path}: {error}") from error
    except MemoryError as error:
        raise ServingError(Code.RESOURCE_EXHAUSTED, f"{path}: out of memory") from error
    except Exception as error:  # a SavedModel can fail to load in any way; each is a bad version
        raise ServingError(Code.INTERNAL, f"{path}: {type(error).__name__}: {error}") from error


def _serving_graph(path: Path) -> meta_graph_pb2.MetaGraphDef:
    saved_model = saved_model_pb2.SavedModel()
    saved_model.ParseFromString((path / MODEL_FILE).read_bytes())
    for graph in saved_model.meta_graphs:
        if SERVE_TAG in graph.meta_info_def.tags:
            # A copy of the signatures alone, so that the graph's own megabytes can go.
            kept = meta_graph_pb2.MetaGraphDef()
            for name, definition in graph.signature_def.items():
                kept.signature_def[name].CopyFrom(definition)
            return kept
    raise ServingError(Code.NOT_FOUND, f"{path} holds no graph with the tag {SERVE_TAG!r}")


def _signature(name: str, definition: meta_graph_pb2.SignatureDef) -> Signature:
    return Signature(
        name=name,
        inputs={key: _tensor_info(info) for key, info in definition.inputs.items()},
        outputs={key: _tensor_info(info) for key, info in definition.outputs.items()},
    )


def _tensor_info(info: meta_graph_pb2.TensorInfo) -> TensorInfo:
    shape = info.tensor_shape
    if shape.unknown_rank:
        return TensorInfo(info.dtype, None)
    return TensorInfo(info.dtype, tuple(None if d.size < 0 else d.size for d in shape.dim))


_PREAMBLE = re.compile(r"^Graph execution error:.*?<stack traces unavailable>\n", re.DOTALL)
_OPERATION = re.compile(r"\s*\[Op:[^\]]*\]\s*$")


def _model_message(message: str) -> str:
    """The op's own words, without the parts that speak of this server's Python."""
    return _OPERATION.sub("", _PREAMBLE.sub("", message))
