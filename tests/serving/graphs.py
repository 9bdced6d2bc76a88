"""Contents of a SavedModel on disk."""

from pathlib import Path

from tensorflow.core.protobuf import saved_model_pb2

#: The ops that stock TensorFlow Serving has.
KNOWN_OPS = frozenset(
    Path(__file__).with_name("tensorflow_serving_2_19_ops.txt").read_text().split()
)


def graphs_of(folder):
    """The graphs of a SavedModel."""
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((Path(folder) / "saved_model.pb").read_bytes())
    return [meta.graph_def for meta in saved.meta_graphs]


def ops_of(folder):
    """Every op of every graph and function, without the calls of its own functions."""
    found, own = set(), set()
    for graph in graphs_of(folder):
        own.update(function.signature.name for function in graph.library.function)
        found.update(node.op for node in graph.node)
        for function in graph.library.function:
            found.update(node.op for node in function.node_def)
    return found - own
