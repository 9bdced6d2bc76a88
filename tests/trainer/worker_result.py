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
from trainer.augment.augmentation import Augmentation
from trainer.augment.config import Augment
from trainer.augment.follow import following
from trainer.changed import Changed
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


def weights_of(model: keras.Model) -> list[float]:
    """All of them, in one row."""
    values = [tf.convert_to_tensor(weight.value).numpy().ravel() for weight in model.weights]
    return [float(value) for value in np.concatenate(values)]


def viewed_training(strategy: tf.distribute.Strategy, folder: str) -> dict[str, list[float]]:
    """Of random views, balanced sampling, an average of the weights, and batches in parts."""
    images, labels = toy(EXAMPLES).columns[0], (np.arange(EXAMPLES) % 4 == 1).astype(np.int64)
    counts = tuple(int(count) for count in np.bincount(labels))
    views = Augment.model_validate({"zoom": {"probability": 1}, "contrast": {}, "noise": {}})
    source = Changed(
        InMemory(images, labels, balance=counts), following(Augmentation(views), "single_label")
    )
    keras.utils.set_random_seed(5)
    with strategy.scope():
        model = build_network(PLAIN, SPEC, of_classes(2)).trained()
    config = TrainConfig(
        model=PLAIN, batch_size=4, accumulate=2, epochs=3, learning_rate=0.01, ema=0.8
    )
    evaluation = InMemory(images, labels)
    places = f"{folder}/logs", f"{folder}/checkpoints"
    history = fit(model, of_classes(2), source, evaluation, config, *places)
    return {
        "loss": [row.loss for row in history.epochs],
        "val_loss": [row.val_loss for row in history.epochs],
        "weights": weights_of(model),
    }


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
        "weights": weights_of(trained),
        "viewed": viewed_training(strategy, f"{folder}/viewed"),
    }
    (folder / f"{index}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
