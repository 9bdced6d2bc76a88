"""The model of the serving benchmark, and its upper bound of throughput on this machine.

The CNN is small on purpose: the lighter the model, the larger the server's share of a request.

    python -m benchmarks.serving_model make FOLDER
    python -m benchmarks.serving_model ceiling SAVED_MODEL IMAGES_FILE BATCH_SIZES SECONDS THREADS
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from serving.client.wire_tensors import string_array

if TYPE_CHECKING:
    from serving.contract.contract import Contract

SIZE_PX = 64
CLASSES = tuple(f"class_{index}" for index in range(10))


class SmallCnn(tf.Module):
    """Three convolutions over decoded JPEGs, with the signature of the served contract."""

    def __init__(self) -> None:
        super().__init__()
        generator = tf.random.Generator.from_seed(0)
        self.kernels = [
            tf.Variable(generator.normal((3, 3, before, after), stddev=0.1))
            for before, after in ((3, 16), (16, 32), (32, 64))
        ]
        self.dense = tf.Variable(generator.normal((64, len(CLASSES)), stddev=0.1))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def classify(self, image_bytes: Any) -> dict[str, Any]:
        """Classifies JPEG bytes: class, probabilities and names."""
        images = tf.map_fn(_decode, image_bytes, fn_output_signature=tf.uint8)
        probabilities = tf.nn.softmax(self.logits(images))
        names = tf.constant(CLASSES)
        return {
            "class": tf.gather(names, tf.argmax(probabilities, axis=1)),
            "probabilities": probabilities,
            "classes": tf.tile(names[None], [tf.shape(probabilities)[0], 1]),
        }

    def logits(self, images: Any) -> Any:
        """Returns logits [N, K] of uint8 images [N, H, W, 3]."""
        x = tf.cast(images, tf.float32) / 127.5 - 1.0
        for kernel, stride in zip(self.kernels, (1, 2, 2), strict=True):
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, strides=stride, padding="SAME"))
        return tf.reduce_mean(x, axis=(1, 2)) @ self.dense


def _decode(encoded: Any) -> Any:
    return tf.ensure_shape(tf.io.decode_jpeg(encoded, channels=3), (SIZE_PX, SIZE_PX, 3))


def save_with_signatures(
    module: tf.Module, logits: Any, contract: "Contract", folder: Path
) -> None:
    """Writes a module with the served signatures of its logits, and the contract beside it."""
    from serving.contract.contract import CONTRACT_PATH
    from serving.graph.signatures import signatures

    found = signatures(logits, contract)
    module.calls = [tf.function(it.function, it.inputs, autograph=False) for it in found]
    named = {it.name: call for it, call in zip(found, module.calls, strict=True)}
    tf.saved_model.save(module, str(folder), signatures=named)
    path = folder / CONTRACT_PATH
    path.parent.mkdir(exist_ok=True)
    path.write_text(contract.to_json())


def make(folder: str) -> None:
    """Writes the model."""
    model = SmallCnn()
    tf.saved_model.save(model, folder, signatures={"serving_default": model.classify})


def serve_ceiling(
    folder: str, images_file: str, batch_sizes: Sequence[int], seconds: float, threads: int
) -> None:
    """Measures once for each line on standard input and prints the result as JSON.

    The model runs by the same call as in the server. A call of a SavedModel's function, as most
    people write it, takes a third more.

    Args:
        batch_sizes: the fastest counts; each has an equal part of the time.
        threads: size of TensorFlow's pools; 0 leaves it to TensorFlow.
    """
    from serving.server.model import DEFAULT_SIGNATURE, Threads, load_model

    model = load_model(1, Path(folder), Threads(threads, threads))
    images = [bytes.fromhex(line) for line in Path(images_file).read_text().split()]
    runs = {
        size: [
            partial(model.run, DEFAULT_SIGNATURE, {"image_bytes": string_array(batch)})
            for batch in _batches(images, size)
        ]
        for size in batch_sizes
    }
    for batches in runs.values():
        for run in batches * 10:
            run()
    print("ready", flush=True)
    for _ in sys.stdin:
        measured = [_measure(runs[size], size, seconds / len(runs)) for size in runs]
        print(json.dumps(max(measured, key=lambda it: it["rate"])), flush=True)


def _batches(images: Sequence[bytes], size: int) -> list[Sequence[bytes]]:
    return [images[start : start + size] for start in range(0, len(images) - size + 1, size)]


def _measure(
    batches: Sequence[Callable[[], object]], size: int, seconds: float
) -> dict[str, float]:
    """Measures images per second and their CPU time for the model alone on full batches."""
    done = 0
    began, cpu_began = time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        for run in batches:
            run()
            done += size
    cpu_s = time.process_time() - cpu_began
    return {"rate": done / (time.perf_counter() - began), "cpu_us": 1e6 * cpu_s / done}


def main(arguments: Sequence[str]) -> None:
    """Runs the command that the arguments name."""
    if arguments[0] == "make":
        make(arguments[1])
    else:
        folder, images_file, sizes, seconds, threads = arguments[1:]
        batch_sizes = [int(size) for size in sizes.split(",")]
        serve_ceiling(folder, images_file, batch_sizes, float(seconds), int(threads))


if __name__ == "__main__":
    main(sys.argv[1:])
