"""From the files of two splits to a trained model."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import tensorflow as tf

from components.raster.image import ImageSpec
from components.raster.task import SINGLE_LABEL, Task
from serving.contract import Contract
from trainer.bands import band_scale
from trainer.cluster import Surroundings
from trainer.config import TrainConfig
from trainer.dataset import InMemory, Source, open_source
from trainer.examples import list_files
from trainer.fit import History, OnEpoch, fit_phases
from trainer.models.network import Network, build_network
from trainer.precision import choose_policy, computing_in
from trainer.stages import Phase, Sources, phase_of
from trainer.strategy import cluster_of, make_strategy
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
    surroundings: Surroundings | None = None,
) -> Trained:
    """Trains a model of the splits' task.

    Of several workers, each must call this; all return the same model.

    Raises:
        SkymillError: as `make_objective`, `build_network`, `make_strategy` and `fit_phases` do.
    """
    strategy = make_strategy(config.strategy, surroundings=surroundings)
    keras.utils.set_random_seed(config.seed)
    if config.deterministic_ops:
        tf.config.experimental.enable_op_determinism()
    train_files = list_files(splits.train)
    scale = band_scale(train_files, image.bands) if image.bands else None
    objective = make_objective(
        splits.task, config.task, splits.classes, image, train_files, config.label_smoothing
    )
    policy = choose_policy(config, strategy)
    with strategy.scope(), computing_in(policy):
        network = build_network(config.model, image, objective, scale)
        trained = network.trained()
    sources = (
        _source(splits.train, objective, image, config),
        _source(splits.evaluation, objective, image, config),
    )
    phases, whole = _phases(network, trained, sources, config)
    history = fit_phases(
        whole, phases, sources, objective, config, log_dir, checkpoint_dir, on_epoch
    )
    served = network.served()
    if policy != "float32" or cluster_of(strategy) is not None:
        plain = build_network(config.model, image, objective, scale).served()
        served = _with_weights_of(plain, served)
    return Trained(served, objective.contract(image), history)


def fingerprint(splits: Splits, image: ImageSpec, config: TrainConfig) -> str:
    """Names a training by all that decides its result, so that only the same one is resumed."""
    facts = {
        "files": [list_files(splits.train), list_files(splits.evaluation)],
        "task": splits.task,
        "classes": splits.classes,
        "image": image.model_dump(mode="json"),
        "train": config.model_dump(mode="json", exclude={"checkpoints"}),
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


def _phases(
    network: Network, trained: keras.Model, sources: Sources, config: TrainConfig
) -> tuple[list[Phase], keras.Model]:
    """The stages on a network, and the model that has all weights which any of them changes.

    A body that does not learn, and always sees the same images, is run over them once, in a first
    stage for the head.
    """
    stages = config.all_stages
    fixed = network.pooled and not network.augment

    @cache
    def features() -> Sources:
        train, evaluation = (_features(network, each, config.batch_size) for each in sources)
        return train, evaluation

    phases = []
    for number, stage in enumerate(stages):
        of_features = fixed and stage.train == "head" and number == 0
        phases.append(
            phase_of(
                stage,
                network.head if of_features else trained,
                network.body,
                features if of_features else lambda: sources,
                keep_norms=config.pretrained,
                layer_decay=config.layer_decay,
            )
        )
    # Weights that never change need not be in every checkpoint.
    return phases, phases[0].model if len(phases) == 1 else trained


def _features(network: Network, source: Source, batch_size: int) -> Source:
    """The body's features of every example, computed once."""

    @tf.function(reduce_retracing=True)
    def features(pixels: tf.Tensor) -> Any:
        return network.body(pixels, training=False)

    batches = [(features(batch[0]), *batch[1:]) for batch in source.once(batch_size)]
    return InMemory(*tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *batches))


def _with_weights_of(model: keras.Model, other: keras.Model) -> keras.Model:
    """The model, with the weights of one of the same layers that may be replicated."""
    for mine, theirs in zip(model.variables, other.variables, strict=True):
        mine.assign(tf.convert_to_tensor(theirs.value))
    return model
