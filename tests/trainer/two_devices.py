"""Fits one model under a strategy on two logical CPUs; prints the results as JSON.

A program of its own, because TensorFlow accepts logical devices only before it is first used.
"""

import json
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf

from components.raster.image import ImageSpec
from tests.trainer.objectives import of_classes
from trainer.augment.augmentation import Augmentation
from trainer.augment.config import Augment, Brightness
from trainer.augment.follow import following
from trainer.data.dataset import InMemory
from trainer.data.share import distributed
from trainer.data.transformed import TransformedSource
from trainer.distribution.config import StrategyName
from trainer.distribution.strategy import local_devices, make_strategy
from trainer.tasks.network import build_network
from trainer.training.config import SmallCnn, TrainConfig
from trainer.training.export import export
from trainer.training.failures import TrainingError
from trainer.training.fit import fit

SPEC = ImageSpec(height_px=8, width_px=8)
OBJECTIVE = of_classes(2)
# Not batch normalisation, whose statistics differ between replicas' shares, nor dropout, whose
# random numbers are drawn for each replica.
PLAIN = SmallCnn(filters=(4, 8), batch_norm=False, dropout=0, augment=False)


def toy(examples: int = 22) -> InMemory:
    """Bright and dark noise: label 1 is brighter than label 0."""
    random = np.random.default_rng(0)
    labels = np.arange(examples) % 2
    noise = random.integers(0, 150, (examples, *SPEC.shape)) + labels[:, None, None, None] * 60
    return InMemory(noise.astype(np.uint8), labels)


def per_replica_batches(strategy: tf.distribute.Strategy) -> list[list[list[int]]]:
    """Returns the rows of each batch of an epoch that each replica receives."""
    source = InMemory(np.arange(22), np.zeros(22))
    batches = distributed(strategy, lambda share: source.epochs(8, 0, share=share))
    found = []
    for (rows, _), _ in zip(batches, range(22 // 8), strict=False):
        parts = strategy.experimental_local_results(rows)
        found.append([part.numpy().tolist() for part in parts])
    return found


def viewed_training(strategy: tf.distribute.Strategy, folder: str) -> dict[str, list[float]]:
    """Trains with random views, balanced sampling, averaged weights, and batches in parts."""
    images = toy().columns[0]
    labels = (np.arange(len(images)) % 4 == 1).astype(np.int64)
    counts = tuple(int(count) for count in np.bincount(labels))
    views = Augment.model_validate({"zoom": {"probability": 1}, "contrast": {}, "noise": {}})
    source = TransformedSource(
        InMemory(images, labels, balance=counts), following(Augmentation(views), of_classes(3))
    )
    keras.utils.set_random_seed(5)
    with strategy.scope():
        model = build_network(PLAIN, SPEC, OBJECTIVE).trained()
    config = TrainConfig(
        model=PLAIN, batch_size=4, accumulate=2, epochs=3, learning_rate=0.01, ema=0.8
    )
    evaluation = InMemory(images, labels)
    history = fit(
        model, OBJECTIVE, source, evaluation, config, f"{folder}/logs", f"{folder}/checkpoints"
    )
    return {
        "loss": [row.loss for row in history.epochs],
        "val_loss": [row.val_loss for row in history.epochs],
        "weights": weights_of(model),
    }


def weights_of(model: keras.Model) -> list[float]:
    """Returns all weights in one list."""
    values = [tf.convert_to_tensor(weight.value).numpy().ravel() for weight in model.weights]
    return [float(value) for value in np.concatenate(values)]


def views_are_alike(strategy: tf.distribute.Strategy) -> bool:
    """Checks whether the replicas together get the views that one device would get."""
    views = Augment(brightness=Brightness(probability=1))
    source = TransformedSource(toy(), following(Augmentation(views), of_classes(3)))
    shared = next(iter(strategy.experimental_distribute_dataset(source.epochs(8, 0))))[0]
    parts = tf.concat(strategy.experimental_local_results(shared), axis=0)
    return bool(tf.reduce_all(parts == next(iter(source.epochs(8, 0)))[0]))


def result(
    strategy: tf.distribute.Strategy,
    model: SmallCnn = PLAIN,
    evaluation: int = 22,
    accumulate: int = 1,
) -> dict[str, object]:
    """Runs a short fit: returns shares of the batch, losses, and the final weights."""
    keras.utils.set_random_seed(5)
    with strategy.scope():
        network = build_network(model, SPEC, OBJECTIVE)
        trained = network.trained()
    config = TrainConfig(
        model=model,
        batch_size=8 // accumulate,
        accumulate=accumulate,
        epochs=3,
        learning_rate=0.01,
    )
    source = toy()
    with tempfile.TemporaryDirectory() as folder:
        logs, checkpoints = f"{folder}/logs", f"{folder}/checkpoints"
        history = fit(trained, OBJECTIVE, source, toy(evaluation), config, logs, checkpoints)
        exported = f"{folder}/model"
        export(network.served(), OBJECTIVE.contract(SPEC), exported)
        png = tf.io.encode_png(source.columns[0][0])[tf.newaxis]
        served = tf.saved_model.load(exported).signatures["serving_default"](image_bytes=png)
    return {
        "replicas": history.replicas,
        "shares": per_replica_batches(strategy),
        "loss": [row.loss for row in history.epochs],
        "val_loss": [row.val_loss for row in history.epochs],
        "weights": weights_of(trained),
        "probabilities": served["probabilities"].numpy().ravel().tolist(),
    }


def viewed(strategy: tf.distribute.Strategy) -> dict[str, list[float]]:
    """Runs `viewed_training` in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        return viewed_training(strategy, folder)


def bad_row(strategy: tf.distribute.Strategy) -> str:
    """Returns the message of a fit with a NaN in the last row, on the last replica, of a batch."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(16, 2)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(np.int64)
    config = TrainConfig(batch_size=4, epochs=1, learning_rate=0.01)
    order = next(iter(InMemory(np.arange(16), labels).epochs(4, config.seed)))[0]
    inputs[order[-1], 1] = np.nan
    with strategy.scope():
        features = keras.Input((2,))
        model = keras.Model(features, keras.layers.Dense(2)(features))
    source = InMemory(inputs, labels)
    with tempfile.TemporaryDirectory() as folder:
        try:
            fit(model, OBJECTIVE, source, source, config, f"{folder}/logs", f"{folder}/checkpoints")
        except TrainingError as error:
            return f"{error} It was example {order[-1]}."
    return "nothing"


def main() -> None:
    """Prints the results of both strategies, and of the mirrored one with every random layer."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    mirrored = make_strategy(StrategyName.MIRRORED)
    one_device = make_strategy(StrategyName.ONE_DEVICE)
    report = {
        "devices": local_devices(),
        "auto": make_strategy(StrategyName.AUTO).num_replicas_in_sync,
        "one_device": result(one_device),
        "mirrored": result(mirrored),
        "in_parts": result(mirrored, accumulate=2),
        "bad_rows": [bad_row(each) for each in (one_device, mirrored)],
        "views_are_alike": views_are_alike(mirrored),
        "viewed": [viewed(each) for each in (one_device, mirrored)],
        "default_model": result(mirrored, SmallCnn(filters=(4, 8)), evaluation=17),
    }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
