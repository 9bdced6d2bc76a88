"""One of several workers of a training: `python -m tests.trainer.worker_result FOLDER`.

TF_CONFIG says which. FOLDER/INDEX.json receives what came out, FOLDER/training what the training
leaves behind. Without TF_CONFIG it is the same training on one device.
"""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tests.trainer.objectives import of_classes
from tests.trainer.two_devices import PLAIN, SPEC, bad_row, toy
from trainer.cluster import Surroundings
from trainer.config import StrategyName, TrainConfig
from trainer.dataset import InMemory
from trainer.fit import fit
from trainer.models.network import build_network
from trainer.share import distributed
from trainer.strategy import make_strategy

BATCH, EXAMPLES = 8, 22


def rows_of_an_epoch(strategy: tf.distribute.Strategy) -> list[list[int]]:
    """The rows of each batch that this worker's replicas get in the first epoch."""
    source = InMemory(np.arange(EXAMPLES), np.zeros(EXAMPLES))
    batches = distributed(strategy, lambda share: source.epochs(BATCH, 0, share=share))
    found = []
    for (rows, _), _ in zip(batches, range(EXAMPLES // BATCH), strict=False):
        parts = strategy.experimental_local_results(rows)
        found.append(np.concatenate([part.numpy() for part in parts]).tolist())
    return found


def main(folder: Path) -> None:
    """Fits, and writes what came out."""
    surroundings = Surroundings.of(os.environ)
    index = surroundings.cluster.index if surroundings.cluster else 0
    strategy = make_strategy(StrategyName.AUTO, surroundings=surroundings)
    keras.utils.set_random_seed(5)
    with strategy.scope():
        trained = build_network(PLAIN, SPEC, of_classes(2)).trained()
    config = TrainConfig(model=PLAIN, batch_size=BATCH, epochs=3, learning_rate=0.01)
    places = f"{folder}/training/logs", f"{folder}/training/checkpoints"
    history = fit(trained, of_classes(2), toy(EXAMPLES), toy(EXAMPLES), config, *places)
    result = {
        "replicas": history.replicas,
        "rows": rows_of_an_epoch(strategy),
        "loss": [row.loss for row in history.epochs],
        "val_loss": [row.val_loss for row in history.epochs],
        "accuracy": [row.metrics["accuracy"] for row in history.epochs],
        "bad_row": bad_row(strategy),
        "weights": [
            float(value)
            for weight in trained.weights
            for value in tf.convert_to_tensor(weight.value).numpy().ravel()
        ],
    }
    (folder / f"{index}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
