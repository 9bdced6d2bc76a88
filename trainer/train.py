"""From the files of two splits to a trained model."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from components.raster.image import ImageSpec
from components.raster.task import SINGLE_LABEL, Task
from serving.contract import Contract
from trainer.bands import band_scale
from trainer.config import TrainConfig
from trainer.dataset import InMemory, Source, open_source
from trainer.examples import list_files
from trainer.fit import History, OnEpoch, fit
from trainer.models.network import Network, build_network
from trainer.strategy import make_strategy
from trainer.tasks.build import make_objective
from trainer.tasks.objective import Objective

_MEGABYTE = 2**20


@dataclass(frozen=True)
class Splits:
    """What to train on: file patterns of two splits, the task, and the names of the classes."""

    train: tuple[str, ...]
    evaluation: tuple[str, ...]
    classes: tuple[str, ...]
    task: Task = SINGLE_LABEL


@dataclass(frozen=True, eq=False)
class Trained:
    """A model, from pixels [N, H, W, C] (`serving.inputs`) to what its contract's task asks for."""

    model: keras.Model
    contract: Contract
    history: History


def train(
    splits: Splits,
    image: ImageSpec,
    config: TrainConfig,
    log_dir: str,
    checkpoint_dir: str,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Trains a model of the splits' task.

    Raises:
        SkymillError: as `make_objective`, `build_network`, `make_strategy` and `fit` do.
    """
    keras.utils.set_random_seed(config.seed)
    if config.deterministic_ops:
        tf.config.experimental.enable_op_determinism()
    strategy = make_strategy(config.strategy)
    train_files = list_files(splits.train)
    scale = band_scale(train_files, image.bands) if image.bands else None
    objective = make_objective(splits.task, config.task, splits.classes, image, train_files)
    with strategy.scope():
        network = build_network(config.model, image, objective, scale)
        trained = network.head if network.body_is_fixed else network.trained()
    learnt, judged = (
        _source(patterns, objective, image, config)
        for patterns in (splits.train, splits.evaluation)
    )
    if network.body_is_fixed:
        learnt = _features(network, learnt, config.batch_size)
        judged = _features(network, judged, config.batch_size)
    history = fit(trained, objective, learnt, judged, config, log_dir, checkpoint_dir, on_epoch)
    return Trained(network.served(), objective.contract(image), history)


def fingerprint(splits: Splits, image: ImageSpec, config: TrainConfig) -> str:
    """Names a training by all that decides its result, so that only the same one is resumed."""
    facts = {
        "files": [list_files(splits.train), list_files(splits.evaluation)],
        "task": splits.task,
        "classes": splits.classes,
        "image": image.model_dump(mode="json"),
        "train": config.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _source(
    patterns: Sequence[str], objective: Objective, image: ImageSpec, config: TrainConfig
) -> Source:
    files = list_files(patterns)
    limits = {"auto": config.cache_limit_mb * _MEGABYTE, "memory": None, "none": 0}
    limit = limits[config.cache]
    examples = objective.count(files)
    return open_source(files, examples, image, objective, limit, config.shuffle_buffer)


def _features(network: Network, source: Source, batch_size: int) -> Source:
    """The body's features of every example, computed once."""
    rest = [batch[1:] for batch in source.once(batch_size)]
    inputs = network.body.predict(source.once(batch_size).map(lambda *batch: batch[0]), verbose=0)
    return InMemory(inputs, *tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *rest))
