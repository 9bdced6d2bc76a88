"""Training of a model from the files of two splits."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from components.raster.labels.targets import ignore_value
from serving.contract.contract import Contract
from serving.contract.reliability import UnknownScore
from trainer.augment.augmentation import RGB, Augmentation
from trainer.augment.config import chosen_views
from trainer.augment.follow import following
from trainer.data.bands import band_scale
from trainer.data.dataset import InMemory, Source, open_source
from trainer.data.examples import learnt_scalings, list_files
from trainer.data.groups import groups_of
from trainer.data.tiles import trained_tiles
from trainer.data.transformed import TransformedSource
from trainer.distribution.cluster import ClusterEnvironment
from trainer.distribution.strategy import cluster_of, make_strategy
from trainer.distribution.workers import WorkerConsensus
from trainer.imbalance.emphasis import Emphasis, emphasis_of
from trainer.imbalance.report import IMBALANCE_FILE, imbalance_report
from trainer.imbalance.weighing import weighing
from trainer.tasks.config import options_type
from trainer.tasks.measures import measures_of, require_fitting
from trainer.tasks.network import Network, build_network
from trainer.tasks.objective import Objective, ScalableObjective
from trainer.tasks.registry import make_objective, objective_type
from trainer.training.config import TrainConfig
from trainer.training.fit import History, OnEpoch, fit_phases
from trainer.training.measured import measure_split
from trainer.training.precision import choose_policy, computing_in
from trainer.training.reliability import fit_conformal, fit_unknown
from trainer.training.splits import Splits
from trainer.training.stages import Phase, Sources, phase_of
from trainer.training.temperature import TEMPERATURE_FILE, Temperature, fit_temperature

_MEGABYTE = 2**20


@dataclass(frozen=True, eq=False)
class Trained:
    """A model from pixels [N, H, W, C] (`serving.graph.inputs`) to its task's served outputs.

    Attributes:
        explainable: the same weights, for explanations; None where the configuration has none.
        embedded: the same weights, with the embedding; None where answers say nothing of their
            reliability.
        unknown: constants of the score of unknown imagery, where the contract promises it.
    """

    model: keras.Model
    contract: Contract
    history: History
    explainable: keras.Model | None = None
    embedded: keras.Model | None = None
    unknown: UnknownScore | None = None


def train(
    splits: Splits,
    image: ImageSpec,
    config: TrainConfig,
    log_dir: str,
    checkpoint_dir: str,
    on_epoch: OnEpoch | None = None,
    environment: ClusterEnvironment | None = None,
) -> Trained:
    """Trains a model for the task of the splits.

    With several workers, each must call this; all return the same model.

    Raises:
        SkymillError: as `make_objective`, `build_network`, `make_strategy` and `fit_phases` do.
    """
    strategy = make_strategy(config.strategy, environment=environment)
    keras.utils.set_random_seed(config.seed)
    if config.deterministic_ops:
        tf.config.experimental.enable_op_determinism()
    train_files = list_files(splits.train)
    scalings = _scalings(image, (*train_files, *list_files(splits.evaluation)))
    scale = band_scale(train_files, image.bands) if image.bands else None
    # A training may run outside a pipeline, which checks this when it reads the configuration.
    if wrong := config.conflict(splits.task):
        raise ConfigError(f"{wrong}.")
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
    policy = choose_policy(config, strategy)
    with strategy.scope(), computing_in(policy):
        network = build_network(config.model, image, objective, scale)
        trained = network.trained()
    learnt = _source(splits.train, objective, image, config, emphasis.balance)
    if views is not None:
        augmentation = Augmentation(views, image.bands or RGB, ignore_value(len(splits.classes)))
        learnt = TransformedSource(learnt, following(augmentation, objective))
    sources = learnt, _source(splits.evaluation, objective, image, config)
    measures = measures_of(objective, splits.classes, config.loss, config.metrics)
    require_fitting(measures, trained, sources[1])
    phases, whole = _phases(network, trained, sources, config, emphasis)
    if seen is not None and WorkerConsensus(strategy).is_chief:
        _write_json(log_dir, IMBALANCE_FILE, imbalance_report(seen, config.imbalance, emphasis))
    history = fit_phases(
        whole, phases, sources, measures, config, log_dir, checkpoint_dir, on_epoch
    )
    served = network.served()
    if policy != "float32" or strategy.num_replicas_in_sync > 1 or cluster_of(strategy):
        network = build_network(config.model, image, objective, scale)
        served = _with_weights_of(network.served(), served)
    contract = _contract(objective, image, train_files, scalings)
    contract = contract.model_copy(update={"explanations": config.explain})
    if config.temperature == "auto":
        assert isinstance(objective, ScalableObjective)  # the configuration refuses others
        found = _temperature(served, objective, sources[1], config.batch_size)
        contract = contract.model_copy(
            update={"temperature": found.temperature if found.served else None}
        )
        if WorkerConsensus(strategy).is_chief:
            _write_json(log_dir, TEMPERATURE_FILE, asdict(found))
    explainable = network.explainable() if config.explain else None
    if not config.unknown and config.conformal is None:
        return Trained(served, contract, history, explainable)
    embedded = network.embedded()
    unknown, promised = _reliability(embedded, contract, splits, config)
    contract = contract.model_copy(update=promised)
    return Trained(served, contract, history, explainable, embedded, unknown)


def _reliability(
    embedded: keras.Model, contract: Contract, splits: Splits, config: TrainConfig
) -> tuple[UnknownScore | None, dict[str, Any]]:
    """Fits what answers say of their reliability: constants, and fields of the contract."""
    evaluation = measure_split(embedded, contract, list_files(splits.evaluation), config.batch_size)
    promised: dict[str, Any] = {}
    if config.conformal is not None:
        if evaluation.errors is None:
            raise ConfigError("train.conformal: examples of the eval split lack a class or number.")
        promised["conformal"] = fit_conformal(
            evaluation.errors, config.conformal, evaluation.groups
        )
    unknown = None
    if config.unknown:
        train = measure_split(embedded, contract, list_files(splits.train), config.batch_size)
        unknown = fit_unknown(train.embedding, train.labels, evaluation.embedding)
        promised["unknown"] = "overall" if train.labels is None else "by_class"
    return unknown, promised


def _contract(
    objective: Objective,
    image: ImageSpec,
    files: Sequence[str],
    scalings: dict[str, tuple[float, float]] | None,
) -> Contract:
    """Returns the model's contract; for rasters it includes the tiles trained on."""
    contract = objective.contract(image)
    if image.bands is None:
        return contract
    return contract.model_copy(update={"tiles": trained_tiles(files), "scalings": scalings})


def fingerprint(splits: Splits, image: ImageSpec, config: TrainConfig) -> str:
    """Returns a digest of all that decides a training's result; only an equal one is resumed."""
    facts = {
        "files": [list_files(splits.train), list_files(splits.evaluation)],
        "task": splits.task,
        "classes": splits.classes,
        "image": image.model_dump(mode="json"),
        "train": config.facts(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _scalings(image: ImageSpec, files: Sequence[str]) -> dict[str, tuple[float, float]] | None:
    """Returns the scaling of stored numbers for the contract, where it is known and relevant."""
    if image.bands is None or image.values is not None:
        return None
    found = learnt_scalings(files)
    return None if found is None else {band: (*it,) for band, it in found.items()}


def _temperature(
    model: keras.Model, objective: ScalableObjective, source: Source, batch_size: int
) -> Temperature:
    """Fits the temperature of a model on the eval split."""
    batches = [
        (model(pixels, training=False).numpy(), targets.numpy())
        for pixels, targets, *_ in source.once(batch_size)
    ]
    logits, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    logits = logits.astype(np.float64)
    return fit_temperature(
        lambda value: objective.log_losses(logits / value, targets), groups_of(source.files)
    )


def _write_json(log_dir: str, name: str, report: dict[str, Any]) -> None:
    tf.io.gfile.makedirs(log_dir)
    with tf.io.gfile.GFile(f"{log_dir}/{name}", "w") as file:
        json.dump(report, file, indent=2)


def _source(
    patterns: Sequence[str],
    objective: Objective,
    image: ImageSpec,
    config: TrainConfig,
    balance: tuple[int, ...] | None = None,
) -> Source:
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


def _features(network: Network, source: Source, batch_size: int) -> Source:
    """Computes the body's features of every example once."""

    @tf.function(reduce_retracing=True)
    def features(pixels: tf.Tensor) -> Any:
        return network.body(pixels, training=False)

    batches = [(features(batch[0]), *batch[1:]) for batch in source.once(batch_size)]
    columns = tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *batches)
    return InMemory(*columns, files=source.files, balance=source.balance)


def _weighted(source: Source, emphasis: Emphasis) -> Source:
    return (
        TransformedSource(source, weighing(emphasis.example_weights))
        if emphasis.example_weights
        else source
    )


def _with_weights_of(model: keras.Model, other: keras.Model) -> keras.Model:
    """Copies the weights of a model with the same layers, which may be replicated."""
    for mine, theirs in zip(model.variables, other.variables, strict=True):
        mine.assign(tf.convert_to_tensor(theirs.value))
    return model
