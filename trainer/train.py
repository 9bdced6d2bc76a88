"""From the files of two splits to a trained model."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from components.raster.image import ImageSpec
from trainer.bands import band_scale
from trainer.config import TrainConfig
from trainer.dataset import InMemory, Source, count_labels, list_files, open_source
from trainer.fit import History, OnEpoch, fit
from trainer.models import Classifier, build_classifier
from trainer.strategy import make_strategy

_MEGABYTE = 2**20


@dataclass(frozen=True)
class Splits:
    """What to train on: file patterns of two splits, and the names of the classes."""

    train: tuple[str, ...]
    evaluation: tuple[str, ...]
    classes: tuple[str, ...]


def train(
    splits: Splits,
    image: ImageSpec,
    config: TrainConfig,
    log_dir: str,
    checkpoint_dir: str,
    on_epoch: OnEpoch | None = None,
) -> tuple[keras.Model, History]:
    """Trains a model from pixels [N, H, W, C] (`serving.inputs`) to logits [N, K].

    Raises:
        SkymillError: as `build_classifier`, `open_source`, `make_strategy` and `fit` do.
    """
    keras.utils.set_random_seed(config.seed)
    if config.deterministic_ops:
        tf.config.experimental.enable_op_determinism()
    strategy = make_strategy(config.strategy)
    scale = band_scale(list_files(splits.train), image.bands) if image.bands else None
    with strategy.scope():
        classifier = build_classifier(config.model, image, len(splits.classes), scale)
        trained = classifier.head if classifier.body_is_fixed else classifier.trained()
    learnt, judged = (
        _source(patterns, len(splits.classes), image, config)
        for patterns in (splits.train, splits.evaluation)
    )
    if classifier.body_is_fixed:
        learnt = _features(classifier, learnt, config.batch_size)
        judged = _features(classifier, judged, config.batch_size)
    history = fit(trained, learnt, judged, config, log_dir, checkpoint_dir, on_epoch)
    return classifier.served(), history


def fingerprint(splits: Splits, image: ImageSpec, config: TrainConfig) -> str:
    """Names a training by all that decides its result, so that only the same one is resumed."""
    facts = {
        "files": [list_files(splits.train), list_files(splits.evaluation)],
        "classes": splits.classes,
        "image": image.model_dump(mode="json"),
        "train": config.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _source(patterns: Sequence[str], classes: int, image: ImageSpec, config: TrainConfig) -> Source:
    files = list_files(patterns)
    examples = sum(count_labels(files, classes))
    limits = {"auto": config.cache_limit_mb * _MEGABYTE, "memory": None, "none": 0}
    return open_source(files, examples, image, limits[config.cache], config.shuffle_buffer)


def _features(classifier: Classifier, source: Source, batch_size: int) -> Source:
    """The body's features of every example, computed once."""
    labels = [label for _, label in source.once(batch_size)]
    inputs = classifier.body.predict(
        source.once(batch_size).map(lambda pixels, _: pixels), verbose=0
    )
    return InMemory(inputs, tf.concat(labels, axis=0).numpy())
