"""One of several workers of a training: `python -m tests.trainer.worker_result FOLDER`.

TF_CONFIG names the worker. FOLDER/INDEX.json receives the results, FOLDER/training the training's
files. Without TF_CONFIG it is the same training on one device.
"""

import json
import os
import sys
from pathlib import Path

import keras

from tests.trainer.objectives import of_classes
from tests.trainer.two_devices import (
    PLAIN,
    SPEC,
    bad_row,
    per_replica_batches,
    toy,
    viewed_training,
    weights_of,
)
from trainer.distribution.cluster import ClusterEnvironment
from trainer.distribution.config import StrategyName
from trainer.distribution.strategy import make_strategy
from trainer.tasks.network import build_network
from trainer.training.config import TrainConfig
from trainer.training.fit import fit

BATCH, EXAMPLES = 8, 22


def main(folder: Path) -> None:
    """Fits, and writes the results."""
    environment = ClusterEnvironment.of(os.environ)
    index = environment.cluster.index if environment.cluster else 0
    strategy = make_strategy(StrategyName.AUTO, environment=environment)
    keras.utils.set_random_seed(5)
    with strategy.scope():
        trained = build_network(PLAIN, SPEC, of_classes(2)).trained()
    config = TrainConfig(model=PLAIN, batch_size=BATCH, epochs=3, learning_rate=0.01)
    places = f"{folder}/training/logs", f"{folder}/training/checkpoints"
    history = fit(trained, of_classes(2), toy(EXAMPLES), toy(EXAMPLES), config, *places)
    result = {
        "replicas": history.replicas,
        "rows": [
            [row for part in parts for row in part] for parts in per_replica_batches(strategy)
        ],
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
