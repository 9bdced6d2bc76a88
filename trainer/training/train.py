"""Training of a model from the files of two splits."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from serving.contract.contract import Contract
from serving.contract.reliability import UnknownScore
from trainer.data.dataset import ExampleSource
from trainer.data.examples import learnt_scalings, list_files
from trainer.data.groups import groups_of
from trainer.data.tiles import trained_tiles
from trainer.distribution.cluster import ClusterEnvironment
from trainer.distribution.strategy import make_strategy
from trainer.distribution.workers import WorkerConsensus
from trainer.tasks.ensemble import Ensemble
from trainer.tasks.explainable import ExplainableNetwork
from trainer.tasks.network import Network
from trainer.tasks.objective import Objective, ScalableObjective
from trainer.training.config import TrainConfig
from trainer.training.fit import History, OnEpoch
from trainer.training.log import write_report
from trainer.training.measured import measure_split
from trainer.training.network_fit import fit_network, open_training_data
from trainer.training.progress import member_folder
from trainer.training.reliability import fit_conformal, fit_unknown
from trainer.training.splits import Splits
from trainer.training.temperature import TEMPERATURE_FILE, Temperature, fit_temperature


@dataclass(frozen=True, eq=False)
class Trained:
    """A model from pixels [N, H, W, C] (`serving.graph.inputs`) to its task's served outputs.

    Attributes:
        explainable: the same weights, for explanations; None where the configuration has none.
        embedded: the same weights, with the traits of each answer; None where answers carry no
            reliability.
        unknown: constants of the score of unknown imagery, where the contract promises it.
    """

    model: keras.Model
    contract: Contract
    history: History
    explainable: ExplainableNetwork | None = None
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

    The members of an ensemble are trained one after another, each as a training with its seed alone
    would be. A member that has ended is taken from its checkpoint. With several workers, each must
    call this; all return the same model.

    Args:
        log_dir: receives the logs of the training; those of an ensemble's further members are in
            folders of it (`member_folder`).
        checkpoint_dir: has the state of a training under way, if any; for an ensemble, a folder
            for each member.

    Raises:
        SkymillError: as `make_objective`, `build_network`, `make_strategy` and `fit_phases` do.
    """
    strategy = make_strategy(config.strategy, environment=environment)
    if config.deterministic_ops:
        tf.config.experimental.enable_op_determinism()
    # A training may run outside a pipeline, which checks this when it reads the configuration.
    if wrong := config.conflict(splits.task):
        raise ConfigError(f"{wrong}.")
    is_chief = WorkerConsensus(strategy).is_chief
    data = open_training_data(splits, image, config, log_dir if is_chief else None)
    # Before the first step, since inconsistent data are refused here.
    contract = _contract(data.objective, image, splits)
    contract = contract.model_copy(update={"explanations": config.explain})
    networks, histories = [], []
    for number, each in enumerate(config.members, start=1):
        logs = log_dir if number == 1 else f"{log_dir}/{member_folder(number)}"
        states = f"{checkpoint_dir}/{member_folder(number)}" if config.ensemble else checkpoint_dir
        network, history = fit_network(data, each, strategy, logs, states, on_epoch)
        networks.append(network)
        histories.append(history)
    model: Network | Ensemble = networks[0]
    if config.ensemble is not None:
        model = Ensemble(tuple(networks), splits.task)
        contract = contract.model_copy(update={"ensemble": model.promised})
    served = model.served()
    if config.temperature == "auto":
        assert isinstance(data.objective, ScalableObjective)  # the configuration refuses others
        evaluation = data.sources[1]
        found = _temperature(served, data.objective, evaluation, config.batch_size)
        contract = contract.model_copy(
            update={"temperature": found.temperature if found.served else None}
        )
        if is_chief:
            write_report(log_dir, TEMPERATURE_FILE, asdict(found))
    explainable = model.explainable() if config.explain else None
    if not config.unknown and config.conformal is None and config.ensemble is None:
        return Trained(served, contract, histories[0], explainable)
    embedded = model.embedded()
    unknown: UnknownScore | None = None
    promised: dict[str, Any] = {}
    if config.unknown or config.conformal is not None:
        unknown, promised = _reliability(embedded, contract, splits, config)
    contract = contract.model_copy(update=promised)
    return Trained(served, contract, histories[0], explainable, embedded, unknown)


def _reliability(
    embedded: keras.Model, contract: Contract, splits: Splits, config: TrainConfig
) -> tuple[UnknownScore | None, dict[str, Any]]:
    """Fits the reliability of answers: constants, and fields of the contract."""
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
    splits: Splits,
) -> Contract:
    """Returns the model's contract; for rasters it includes the tiles trained on."""
    contract = objective.contract(image)
    if image.bands is None:
        return contract
    files = list_files(splits.train)
    scalings = _scalings(image, (*files, *list_files(splits.evaluation)))
    return contract.model_copy(update={"tiles": trained_tiles(files), "scalings": scalings})


def fingerprint(splits: Splits, image: ImageSpec, config: TrainConfig) -> str:
    """Digests everything that determines a training's result; only an equal one is resumed."""
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
    model: keras.Model, objective: ScalableObjective, source: ExampleSource, batch_size: int
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
