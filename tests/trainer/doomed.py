"""A training that kills itself: `python -m tests.trainer.doomed FOLDER STRATEGY STEPS...`.

After STEPS steps the process gets a real SIGKILL; with 0 the training ends normally. Several
numbers are several trainings in sequence, in FOLDER/0, FOLDER/1 and so on.
"""

import os
import signal
import sys

import keras
import tensorflow as tf

import trainer.training.stage_run
from components.raster.image import ImageSpec
from tests.trainer.objectives import of_classes
from tests.trainer.two_devices import PLAIN, toy
from trainer.augment.augmentation import Augmentation
from trainer.augment.config import Augment, Brightness, Zoom
from trainer.augment.follow import following
from trainer.data.transformed import TransformedSource
from trainer.distribution.strategy import make_strategy
from trainer.tasks.network import build_network
from trainer.training.config import (
    CheckpointPolicy,
    EarlyStopping,
    SmallCnn,
    StrategyName,
    TrainConfig,
)
from trainer.training.fit import History, fit
from trainer.training.steps import StepLoop

#: Everything that must survive: a schedule, an average of the weights, patience, random layers; and
#: the random views of `train`.
CONFIG = TrainConfig(
    model=SmallCnn(filters=(4, 8)),
    batch_size=8,
    steps_per_epoch=7,
    epochs=6,
    learning_rate=0.02,
    warmup_epochs=1.5,
    ema=0.8,
    early_stopping=EarlyStopping(patience=3),
    checkpoints=CheckpointPolicy(every_seconds=None, every_steps=2),
)


def train(folder: str, strategy: tf.distribute.Strategy, plain: bool = False) -> History:
    """Fits a small model in a folder, resuming from the state there."""
    in_parts = {"model": PLAIN, "batch_size": 4, "accumulate": 2}
    config = CONFIG.model_copy(update=in_parts) if plain else CONFIG
    keras.utils.set_random_seed(5)
    with strategy.scope():
        network = build_network(config.model, ImageSpec(height_px=8, width_px=8), of_classes(2))
        trained = network.trained()
    places = f"{folder}/logs", f"{folder}/checkpoints"
    views = Augment(zoom=Zoom(probability=1), brightness=Brightness())
    source = TransformedSource(toy(30), following(Augmentation(views), of_classes(3)))
    return fit(trained, of_classes(2), source, toy(12), config, *places)


class Doomed(StepLoop):
    """Steps that end with a SIGKILL."""

    left = 0

    def train(self, batches):
        """Runs a step, or kills the process if none is left."""
        Doomed.left -= 1
        if Doomed.left == -1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().train(batches)


def main(folder: str, name: str, *steps: str) -> None:
    """Runs a training for each number."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = make_strategy(StrategyName(name))
    for number, limit in enumerate(steps):
        Doomed.left = int(limit) or sys.maxsize
        trainer.training.stage_run.StepLoop = Doomed  # type: ignore[misc]
        train(f"{folder}/{number}", strategy, plain=name == "mirrored")


if __name__ == "__main__":
    main(*sys.argv[1:])
