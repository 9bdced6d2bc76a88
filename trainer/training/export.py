"""A trained model as a SavedModel that TensorFlow Serving loads as it is."""

import keras
import tensorflow as tf

from serving.contract.contract import CONTRACT_PATH, Contract
from serving.graph.signatures import signatures


def export(model: keras.Model, contract: Contract, folder: str) -> None:
    """Writes the SavedModel with the signatures of the contract, and the contract in it.

    Args:
        model: pixels [N, H, W, C] (`serving.graph.inputs`) to what the contract's task asks for
            (`serving.answers`); outside of any strategy, since replicated variables have no place
            in a served graph.
        contract: what the signatures take and answer.
        folder: where saved_model.pb will lie; local or remote.
    """
    archive = keras.export.ExportArchive()
    archive.track(model)
    for signature in signatures(lambda pixels: model(pixels, training=False), contract):
        archive.add_endpoint(signature.name, signature.function, [signature.input])
    archive.write_out(folder, verbose=False)
    path = f"{folder}/{CONTRACT_PATH}"
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(contract.to_json())
