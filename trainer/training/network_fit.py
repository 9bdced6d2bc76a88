"""Fit of one network to the data of a training."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import keras
import tensorflow as tf

from components.raster.image import ImageSpec
from components.raster.labels.targets import ignore_value
from trainer.augment.augmentation import RGB, Augmentation
from trainer.augment.config import chosen_views
from trainer.augment.follow import following
from trainer.data.bands import BandScale, band_scale
from trainer.data.dataset import ExampleSource, InMemory, open_source
from trainer.data.examples import list_files
from trainer.data.transformed import TransformedSource
from trainer.distribution.strategy import cluster_of
from trainer.imbalance.emphasis import Emphasis, emphasis_of
from trainer.imbalance.report import IMBALANCE_FILE, imbalance_report
from trainer.imbalance.weighing import weighing
from trainer.tasks.config import options_type
from trainer.tasks.measures import Measures, measures_of, require_fitting
from trainer.tasks.network import Network, build_network
from trainer.tasks.objective import Objective
from trainer.tasks.registry import make_objective, objective_type
from trainer.training.config import TrainConfig
from trainer.training.fit import History, OnEpoch, fit_phases
from trainer.training.log import write_report
from trainer.training.precision import choose_policy, computing_in
from trainer.training.splits import Splits
from trainer.training.stages import Phase, Sources, phase_of

_MEGABYTE = 2**20


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Data of a training, its objective and measures, which its networks share.

    Attributes:
        objective: objective of the task.
        image: the model's input.
        scale: scale of the bands of rasters.
        sources: the train and eval sources.
        measures: loss and metrics.
        emphasis: emphasis on rare classes.
    """

    objective: Objective
    image: ImageSpec
    scale: BandScale | None
    sources: Sources
    measures: Measures
    emphasis: Emphasis


def open_training_data(
    splits: Splits, image: ImageSpec, config: TrainConfig, log_dir: str | None
) -> TrainingData:
    """Opens the data of a training; reports its class imbalance to `log_dir`, if any."""
    train_files = list_files(splits.train)
    scale = band_scale(train_files, image.bands) if image.bands else None
    views = chosen_views(config.model.augment)
    seen = objective_type(splits.task).count_classes(train_files, splits.classes)
    weighting = options_type(splits.task).weighting
    emphasis = emphasis_of(weighting, seen, config.imbalance, soft=bool(views and views.mixes))
    objective = make_objective(
        splits.task,
        config.task,
        splits.classes,
        image,
        train_files,
        config.label_smoothing,
        emphasis,
    )
    learnt = _source(splits.train, objective, image, config, emphasis.balance)
    if views is not None:
        augmentation = Augmentation(views, image.bands or RGB, ignore_value(len(splits.classes)))
        learnt = TransformedSource(learnt, following(augmentation, objective))
    sources = learnt, _source(splits.evaluation, objective, image, config)
    measures = measures_of(objective, splits.classes, config.loss, config.metrics)
    if seen is not None and log_dir is not None:
        write_report(log_dir, IMBALANCE_FILE, imbalance_report(seen, config.imbalance, emphasis))
    return TrainingData(objective, image, scale, sources, measures, emphasis)


def fit_network(
    data: TrainingData,
    config: TrainConfig,
    strategy: tf.distribute.Strategy,
    log_dir: str,
    checkpoint_dir: str,
    on_epoch: OnEpoch | None,
) -> tuple[Network, History]:
    """Fits one network; the result computes in float32, outside of the strategy."""
    keras.utils.set_random_seed(config.seed)
    build = partial(build_network, config.model, data.image, data.objective, data.scale)
    policy = choose_policy(config, strategy)
    with strategy.scope(), computing_in(policy):
        network = build()
        trained = network.trained()
    require_fitting(data.measures, trained, data.sources[1])
    phases, whole = _phases(network, trained, data.sources, config, data.emphasis)
    history = fit_phases(
        *(whole, phases, data.sources, data.measures, config),
        *(log_dir, checkpoint_dir, on_epoch),
    )
    if policy == "float32" and strategy.num_replicas_in_sync == 1 and not cluster_of(strategy):
        return network, history
    plain = build()
    _copy_weights(plain.served(), network.served())
    return plain, history


def _source(
    patterns: Sequence[str],
    objective: Objective,
    image: ImageSpec,
    config: TrainConfig,
    balance: tuple[int, ...] | None = None,
) -> ExampleSource:
    files = list_files(patterns)
    limits = {"auto": config.cache_limit_mb * _MEGABYTE, "memory": None, "none": 0}
    limit = limits[config.cache]
    examples = objective.count(files)
    return open_source(files, examples, image, objective, limit, config.shuffle_buffer, balance)


def _phases(
    network: Network,
    trained: keras.Model,
    sources: Sources,
    config: TrainConfig,
    emphasis: Emphasis,
) -> tuple[list[Phase], keras.Model]:
    """Returns the stages on a network, and the model with all weights that they change.

    If a body is frozen and always sees the same images, a first stage computes its features once
    and trains the head on them.
    """
    stages = config.all_stages

    @cache
    def features() -> Sources:
        train, evaluation = (_features(network, each, config.batch_size) for each in sources)
        return _weighted(train, emphasis), evaluation

    images = _weighted(sources[0], emphasis), sources[1]

    phases = []
    for number, stage in enumerate(stages):
        of_features = network.repeats_features and stage.train == "head" and number == 0
        phases.append(
            phase_of(
                stage,
                network.head if of_features else trained,
                network.body,
                features if of_features else lambda: images,
                keep_norms=config.pretrained,
                layer_decay=config.layer_decay,
            )
        )
    # Weights that never change need not be in every checkpoint.
    return phases, phases[0].model if len(phases) == 1 else trained


def _features(network: Network, source: ExampleSource, batch_size: int) -> ExampleSource:
    """Computes the body's features of every example once."""

    @tf.function(reduce_retracing=True)
    def features(pixels: tf.Tensor) -> Any:
        return network.body(pixels, training=False)

    batches = [(features(batch[0]), *batch[1:]) for batch in source.once(batch_size)]
    columns = tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *batches)
    return InMemory(*columns, files=source.files, balance=source.balance)


def _weighted(source: ExampleSource, emphasis: Emphasis) -> ExampleSource:
    return (
        TransformedSource(source, weighing(emphasis.example_weights))
        if emphasis.example_weights
        else source
    )


def _copy_weights(model: keras.Model, other: keras.Model) -> None:
    """Copies the weights of another model with the same layers, which may be replicated."""
    for mine, theirs in zip(model.variables, other.variables, strict=True):
        mine.assign(tf.convert_to_tensor(theirs.value))
