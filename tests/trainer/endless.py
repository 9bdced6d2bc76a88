"""A training that runs until it is killed: `python -m tests.trainer.endless FOLDER`.

With a second argument it resumes where it was killed, and ends after that many epochs.
"""

import sys

import keras

from components.raster.image import ImageSpec
from tests.trainer.objectives import of_classes
from tests.trainer.two_devices import toy
from trainer.tasks.network import build_network
from trainer.training.config import SmallCnn, TrainConfig
from trainer.training.fit import fit


def train(folder: str, epochs: int) -> None:
    """Fits a small model with dropout and batch normalisation in a folder."""
    model = SmallCnn(filters=(4, 8))
    # A constant rate, so that the number of epochs affects only the end.
    config = TrainConfig(
        model=model, batch_size=8, epochs=epochs, schedule="constant", early_stopping=None
    )
    keras.utils.set_random_seed(5)
    objective = of_classes(2)
    trained = build_network(model, ImageSpec(height_px=8, width_px=8), objective).trained()
    fit(trained, objective, toy(), toy(), config, f"{folder}/logs", f"{folder}/checkpoints")


if __name__ == "__main__":
    train(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
