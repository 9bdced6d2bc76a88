"""Export of a trained model as a SavedModel for TensorFlow Serving."""

import keras
import tensorflow as tf

from serving.contract.contract import CONTRACT_PATH, Contract
from serving.graph.signatures import signatures


def export(model: keras.Model, contract: Contract, folder: str) -> None:
    """Writes the SavedModel with the signatures of the contract, and the contract in it.

    Args:
        model: pixels [N, H, W, C] (`serving.graph.inputs`) to the outputs of the contract's task
            (`serving.answers`). It is outside of any strategy, because a served graph cannot hold
            replicated variables.
        contract: inputs and outputs of the signatures.
        folder: receives saved_model.pb; local or remote.
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
