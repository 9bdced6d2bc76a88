"""One version of a SavedModel in memory: its signatures and their execution."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, rewriter_config_pb2

from components.raster.graph_errors import plain_message, refusal_message
from serving.client.wire_tensors import Array, dtype_name, enum_of
from serving.server.errors import Code, ServingError, code_of_number
from serving.store.model_files import ModelFolderError, model_files
from serving.store.versions import MODEL_FILE

SERVE_TAG = "serve"
DEFAULT_SIGNATURE = "serving_default"

Arrays = Mapping[str, Array]
SignatureDefs = Mapping[str, meta_graph_pb2.SignatureDef]

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
        """True if rows of several requests can be joined along the first dimension."""
        return self.shape is None or (len(self.shape) > 0 and self.shape[0] is None)


@dataclass(frozen=True)
class SignatureSpec:
    """Inputs and outputs of one signature."""

    name: str
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]

    @cached_property
    def batchable(self) -> bool:
        """True if requests to the signature may share a batch."""
        tensors = [*self.inputs.values(), *self.outputs.values()]
        return bool(self.inputs) and all(info.has_free_batch_dim for info in tensors)

    def check(self, inputs: Arrays) -> None:
        """Refuses inputs of other types, before they can spoil a batch. Names must be valid.

        Shapes are left to the model: as in TensorFlow Serving, a signature's shapes are only a
        description, and graphs of TensorFlow 1 accept others.

        Raises:
            ServingError: INVALID_ARGUMENT, naming the input.
        """
        for name, array in inputs.items():
            info = self.inputs[name]
            if enum_of(array) != info.dtype:
                raise ServingError(
                    Code.INVALID_ARGUMENT,
                    f"input {name} is {dtype_name(enum_of(array))}, "
                    f"expected {dtype_name(info.dtype)}",
                )

    def check_names(self, names: Collection[str]) -> None:
        """Refuses inputs with other names.

        Raises:
            ServingError: INVALID_ARGUMENT, naming the missing and the unexpected inputs.
        """
        if set(names) != self.inputs.keys():
            extra = ",".join(sorted(set(names) - self.inputs.keys()))
            missing = ",".join(sorted(self.inputs.keys() - set(names)))
            raise ServingError(
                Code.INVALID_ARGUMENT,
                f"input size does not match signature: {len(names)}!={len(self.inputs)}. "
                f"Sent extra: {{{extra}}}. Missing but required: {{{missing}}}.",
            )


@dataclass(frozen=True)
class Threads:
    """Numbers of threads that the runtime may use; 0 lets TensorFlow decide."""

    intra_op: int = 0
    inter_op: int = 0


class LoadedModel:
    """A loaded SavedModel; thread-safe, until it is closed.

    It runs in a session, as in TensorFlow Serving: an eager call of a SavedModel's function costs
    0.3 ms more, as much as a small model itself for small batches.
    """

    def __init__(
        self,
        version: int,
        path: Path,
        session: tf.compat.v1.Session,
        signature_defs: SignatureDefs,
        options: config_pb2.RunOptions,
        prepared: bool = True,
    ) -> None:
        self.version = version
        self.path = path
        self.signature_defs = signature_defs
        self.signatures = {
            name: _signature(name, definition)
            for name, definition in signature_defs.items()
            if definition.method_name in _SERVABLE_METHODS
        }
        self._session, self._options = session, options
        self._calls: dict[str, _Call] = {}
        self._preparing = Lock()
        for name in self.signatures if prepared else ():
            self._prepare(name)

    def run(self, signature: str, inputs: Arrays) -> dict[str, Array]:
        """Returns all outputs of a signature, by name.

        Raises:
            ServingError: with the model's own code and message.
        """
        try:
            call = self._calls.get(signature) or self._prepare(signature)
            return call(inputs)
        except tf.errors.OpError as error:
            message = refusal_message(error.message) or type(error).__name__
            raise ServingError(code_of_number(error.error_code), message) from error
        except (TypeError, ValueError) as error:  # raised for arrays that cannot become tensors
            message = plain_message(str(error))
            raise ServingError(
                Code.INVALID_ARGUMENT, f"signature {signature}: {message}"
            ) from error

    def close(self) -> None:
        """Releases the model's memory; no call may run afterwards."""
        self._calls.clear()
        self._session.close()

    def _prepare(self, signature: str) -> "_Call":
        with self._preparing:  # of concurrent first calls, each would optimize the graph
            if signature not in self._calls:
                name = self.signatures[signature].name
                call = _Call(self._session, self.signature_defs[name], self._options)
                self._calls[signature] = call
            return self._calls[signature]


class _Call:
    """Signature as a callable of the session: arrays in, arrays out."""

    def __init__(
        self,
        session: tf.compat.v1.Session,
        definition: meta_graph_pb2.SignatureDef,
        options: config_pb2.RunOptions,
    ) -> None:
        self._inputs = tuple(definition.inputs)
        self._outputs = {key: info.name for key, info in definition.outputs.items()}
        self._fetched = tuple(dict.fromkeys(self._outputs.values()))
        # The public make_callable goes through Session.run and costs as much as an eager call.
        self._call = session._make_callable_from_options(
            config_pb2.CallableOptions(
                feed=[info.name for info in definition.inputs.values()],
                fetch=self._fetched,
                run_options=options,
            )
        )

    def __call__(self, inputs: Arrays) -> dict[str, Array]:
        tensors = self._call(*(inputs[name] for name in self._inputs))
        by_tensor = dict(zip(self._fetched, tensors, strict=True))
        return {key: by_tensor[name] for key, name in self._outputs.items()}


def load_model(
    version: int,
    path: Path,
    threads: Threads = Threads(),
    prepared: bool = True,
    few_calls: bool = False,
) -> LoadedModel:
    """Loads the SavedModel in `path`.

    Args:
        version: its number.
        path: its folder.
        threads: limits for TensorFlow.
        prepared: whether to optimize the graph of each signature now; otherwise with the first
            call of the signature, which then takes a second or more for large networks.
        few_calls: whether to optimize graphs in one pass instead of two, without steps that cost
            more than they save in a few calls: constant folding, layouts, fusion and memory
            ordering.

    Raises:
        ServingError: with a code and a message for the model's status.
    """
    config = config_pb2.ConfigProto(
        intra_op_parallelism_threads=threads.intra_op,
        inter_op_parallelism_threads=threads.inter_op,
    )
    if few_calls:
        rewriting = config.graph_options.rewrite_options
        rewriting.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
        rewriting.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
        for name in ("constant_folding", "layout_optimizer", "remapping"):
            setattr(rewriting, name, rewriter_config_pb2.RewriterConfig.OFF)
    session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
    # With one inter-op thread, the caller's thread runs the ops without a hand-over.
    options = config_pb2.RunOptions(inter_op_thread_pool=-1 if threads.inter_op == 1 else 0)
    try:
        return LoadedModel(version, path, session, _restore(session, path), options, prepared)
    except BaseException as error:
        session.close()
        raise _refusal(path, error) from error


def _restore(session: tf.compat.v1.Session, path: Path) -> SignatureDefs:
    """Restores graph and variables into the session; returns copies of the signatures only.

    The graph's description takes megabytes and is released.
    """
    if not (path / MODEL_FILE).is_file():
        raise FileNotFoundError(f"there is no {MODEL_FILE}")
    model_files(path)  # opening a named pipe among them would block forever
    with session.graph.as_default():
        graph = tf.compat.v1.saved_model.load(session, [SERVE_TAG], str(path))
    kept = meta_graph_pb2.MetaGraphDef()
    for name, definition in graph.signature_def.items():
        kept.signature_def[name].CopyFrom(definition)
    return kept.signature_def


def _refusal(path: Path, error: BaseException) -> BaseException:
    """Converts a load error; a SavedModel can fail in any way, which always means a bad version."""
    if isinstance(error, tf.errors.OpError):
        return ServingError(
            code_of_number(error.error_code), f"{path}: {plain_message(error.message)}"
        )
    if isinstance(error, ModelFolderError):
        return ServingError(Code.FAILED_PRECONDITION, str(error))
    if isinstance(error, FileNotFoundError):
        return ServingError(Code.NOT_FOUND, f"{path}: {error}")
    if isinstance(error, MemoryError):
        return ServingError(Code.RESOURCE_EXHAUSTED, f"{path}: out of memory")
    if isinstance(error, Exception):
        return ServingError(
            Code.INTERNAL, f"{path}: {type(error).__name__}: {plain_message(str(error))}"
        )
    return error


def _signature(name: str, definition: meta_graph_pb2.SignatureDef) -> SignatureSpec:
    return SignatureSpec(
        name=name,
        inputs={key: _tensor_info(info) for key, info in definition.inputs.items()},
        outputs={key: _tensor_info(info) for key, info in definition.outputs.items()},
    )


def _tensor_info(info: meta_graph_pb2.TensorInfo) -> TensorInfo:
    shape = info.tensor_shape
    if shape.unknown_rank:
        return TensorInfo(info.dtype, None)
    return TensorInfo(info.dtype, tuple(None if d.size < 0 else d.size for d in shape.dim))
