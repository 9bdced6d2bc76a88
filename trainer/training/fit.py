"""Fit of one model to one source of examples, in stages."""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import keras
import tensorflow as tf

from components.raster.errors import ConfigError, DataError
from trainer.data.dataset import ExampleSource
from trainer.distribution.strategy import check_batch
from trainer.distribution.workers import WorkerConsensus
from trainer.tasks.measures import Measures
from trainer.training.checkpoint import (
    Checkpoints,
    Position,
    SavingPlan,
    TrainingInterrupted,
    stop_on_sigterm,
)
from trainer.training.config import TrainConfig
from trainer.training.failures import explained_failures
from trainer.training.log import OnEpoch as OnEpoch
from trainer.training.log import TrainingLog
from trainer.training.profiling import Profile
from trainer.training.progress import Epoch, TrainingProgress
from trainer.training.stage_run import StageRun, TrainingContext
from trainer.training.stages import Phase, Sources, whole_phase

HISTORY_FILE = "history.json"


@dataclass(frozen=True)
class History:
    """Result of a training; the model has the weights of the best epoch."""

    epochs: tuple[Epoch, ...]
    best: Epoch | None
    monitor: str
    stopped_early: bool
    resumed_after_epochs: int
    resumed_after_steps: int
    steps_per_epoch: int
    batch_size: int
    replicas: int

    def to_json(self) -> dict[str, Any]:
        """Returns a plain value for history.json."""
        return {
            **asdict(self),
            "epochs": [row.to_json() for row in self.epochs],
            "best": self.best and self.best.to_json(),
        }


def fit(
    model: keras.Model,
    measures: Measures,
    train: ExampleSource,
    evaluation: ExampleSource,
    config: TrainConfig,
    log_dir: str,
    checkpoint_dir: str,
    on_epoch: OnEpoch | None = None,
) -> History:
    """Fits all trainable weights of a model (inputs to the outputs that are measured) in one stage.

    Equals `fit_phases` with the first stage of the configuration.
    """
    sources = train, evaluation
    phases = [whole_phase(config.all_stages[0], model, sources)]
    return fit_phases(model, phases, sources, measures, config, log_dir, checkpoint_dir, on_epoch)


def fit_phases(
    whole: keras.Model,
    phases: Sequence[Phase],
    sources: Sources,
    measures: Measures,
    config: TrainConfig,
    log_dir: str,
    checkpoint_dir: str,
    on_epoch: OnEpoch | None = None,
) -> History:
    """Fits a model stage by stage and leaves it with the weights of its best epoch.

    If `checkpoint_dir` holds the state of an interrupted fit of the same model, data and
    configuration, the fit resumes there, even in the middle of an epoch. `log_dir` receives
    `progress.jsonl` (one row an epoch, as it ends), `history.json`, event files for TensorBoard,
    and, for a resumed fit, `resumed.json`. The checkpoints remain; the caller deletes them once it
    has stored the model.

    Args:
        whole: has all weights that any stage changes.
        phases: each fits `whole` or a part of it.
        sources: the train and eval sources.

    Raises:
        TrainingInterrupted: the process received SIGTERM; the state is saved.
        TrainingError: the loss is not a number, the memory is too small, or a worker is gone.
        DataError: there are too few examples for one step.
        ConfigError: the replicas cannot share the batch evenly, or the task has no metric of the
            name that early stopping monitors.
    """
    strategy = whole.distribute_strategy
    _check_monitor(config, measures)
    check_batch(config.batch_size, strategy)
    _check_examples(sources, strategy.num_replicas_in_sync, config.accumulate)
    consensus = WorkerConsensus(strategy)
    stages, stopping = [phase.stage for phase in phases], config.early_stopping
    profile = Profile(log_dir, config.profile if consensus.is_chief else None)
    with stop_on_sigterm() as request, closing(profile):
        context = TrainingContext(
            measures=measures,
            config=config,
            sources=sources,
            log_dir=log_dir,
            checkpoints=Checkpoints(whole.variables, checkpoint_dir, consensus.is_chief),
            log=TrainingLog(log_dir, _epochs(phases), on_epoch, consensus.is_chief),
            consensus=consensus,
            plan=SavingPlan(config.checkpoints),
            request=request,
            profile=profile,
        )
        began = position = context.checkpoints.look() or Position(TrainingProgress(config.monitor))
        context.log.begin(position.progress, position.step)
        with explained_failures(
            context.batch_size, context.replicas, config.accumulate, config.precision
        ):
            while (at := position.progress.stage_under_way(stages, stopping)) is not None:
                position = StageRun(context, phases[at - 1], at, position).run(position)
        if any(consensus.any(request.made)):
            raise TrainingInterrupted(
                "Training was asked to stop (SIGTERM) after its last epoch. Its state is saved: "
                "run it again, and it resumes after that epoch."
            )
    context.checkpoints.restore_best(position)
    # Others may still read what the chief is about to delete.
    consensus.wait()
    history = _history(context, phases, began, position.progress)
    if consensus.is_chief:
        with tf.io.gfile.GFile(f"{log_dir}/{HISTORY_FILE}", "w") as file:
            json.dump(history.to_json(), file, indent=2)
    return history


def _history(
    context: TrainingContext, phases: Sequence[Phase], began: Position, progress: TrainingProgress
) -> History:
    return History(
        epochs=progress.epochs,
        best=progress.best,
        monitor=progress.monitor,
        stopped_early=len(progress.epochs) < _epochs(phases),
        resumed_after_epochs=len(began.progress.epochs),
        resumed_after_steps=began.step,
        steps_per_epoch=context.steps_per_epoch,
        batch_size=context.batch_size,
        replicas=context.replicas,
    )


def _epochs(phases: Sequence[Phase]) -> int:
    return sum(phase.stage.epochs for phase in phases)


def _check_monitor(config: TrainConfig, measures: Measures) -> None:
    known = [f"val_{name}" for name in ("loss", *measures.monitors)]
    if config.monitor not in known:
        raise ConfigError(
            f"train.early_stopping.monitor is {config.monitor}, but a {measures.task} training "
            f"has {', '.join(known)}."
        )


def _check_examples(sources: Sources, replicas: int, accumulate: int) -> None:
    passes = {"train": accumulate, "eval": 1}
    for (split, parts), source in zip(passes.items(), sources, strict=True):
        if source.examples < replicas * parts:
            of_parts = f", in {parts} batches per update (train.accumulate)" if parts > 1 else ""
            raise DataError(
                f"The {split} split has {source.examples} examples for {replicas} replicas"
                f"{of_parts}; each needs at least one: add data or enlarge the split's share."
            )
