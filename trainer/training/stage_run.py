"""One stage of a training: its optimizer, steps and epochs."""

import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf

from trainer.data.share import distributed
from trainer.distribution.strategy import is_tpu
from trainer.distribution.workers import WorkerConsensus
from trainer.tasks.measures import Measures
from trainer.training.checkpoint import (
    Checkpoints,
    Position,
    SavingPlan,
    StopRequest,
    TrainingInterrupted,
)
from trainer.training.config import TrainConfig
from trainer.training.failures import (
    BadNumbers,
    TrainingError,
    bad_loss,
    bad_val_loss,
    not_finite_keys,
    not_finite_rows,
    write_bad_batch,
)
from trainer.training.log import TrainingLog
from trainer.training.optimizer import make_optimizer
from trainer.training.precision import choose_xla
from trainer.training.profiling import Profile
from trainer.training.progress import Epoch
from trainer.training.schedule import make_schedule
from trainer.training.stages import Phase, Sources
from trainer.training.steps import StepLoop

#: Number of calls after which a step's loss is checked: by then reading it does not block.
_LOOK_BACK = 8
_MOST_STEPS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class TrainingContext:
    """State shared by all stages of a training."""

    measures: Measures
    config: TrainConfig
    sources: Sources
    log_dir: str
    checkpoints: Checkpoints
    log: TrainingLog
    consensus: WorkerConsensus
    plan: SavingPlan
    request: StopRequest
    profile: Profile

    @cached_property
    def replicas(self) -> int:
        return int(self.consensus.strategy.num_replicas_in_sync)

    @cached_property
    def batch_size(self) -> int:
        """Images per pass over all replicas; at most the number available for an update."""
        most = self.sources[0].examples // self.config.accumulate
        return min(self.config.batch_size, most - most % self.replicas)

    @cached_property
    def update_size(self) -> int:
        """Images per step, which is one update."""
        return self.batch_size * self.config.accumulate

    @cached_property
    def steps_per_epoch(self) -> int:
        return self.config.steps_per_epoch or self.sources[0].examples // self.update_size


class StageRun:
    """Runs a stage from a training's position.

    Args:
        phase: the stage bound to its model.
        number: number of the stage, counted from 1.
        position: position of the training: within the stage, or right before it.
    """

    def __init__(
        self, context: TrainingContext, phase: Phase, number: int, position: Position
    ) -> None:
        self._context, self._phase, self._number = context, phase, number
        self._strategy = context.consensus.strategy
        self._model = phase.model
        within = position.step > 0 or bool(position.progress.of_stage(number))
        if position.best and not within:
            context.checkpoints.restore_best(position)
        phase.begin()
        self._sources = phase.sources()
        self._at_once = steps_at_once(
            context.config.steps_per_execution, context.steps_per_epoch, is_tpu(self._strategy)
        )
        with self._strategy.scope():
            self._compile()
        xla = choose_xla(context.config, self._strategy)
        self._loop = StepLoop(self._model, self._at_once, xla, context.config.accumulate)
        self._loop.build_metrics(next(iter(self._sources[1].once(1))))
        context.checkpoints.attend(self._model.optimizer, self._model.metrics_variables)
        if within:
            context.checkpoints.restore()

    def run(self, position: Position) -> Position:
        """Runs the remaining epochs of the stage."""
        context, stage = self._context, self._phase.stage
        batches = self._batches_from(position)
        while position.progress.is_under_way(self._number, stage, context.config.early_stopping):
            position = self._train(position, batches)
            position = self._judge(position)
        return position

    def _compile(self) -> None:
        context, stage, variables = (
            self._context,
            self._phase.stage,
            self._model.trainable_variables,
        )
        config, steps = context.config, context.steps_per_epoch
        warmup = config.warmup_epochs if stage.warmup_epochs is None else stage.warmup_epochs
        rate = make_schedule(
            config.schedule,
            config.peak_of(stage),
            stage.epochs * steps,
            round(warmup * steps),
            config.final_rate,
        )
        half = self._model.dtype_policy.compute_dtype == "float16"
        self._model.compile(
            optimizer=make_optimizer(
                config, rate, variables, self._phase.factors(variables), loss_scaled=half
            ),
            loss=context.measures.loss(),
            metrics=context.measures.metrics(),
            jit_compile=False,
            auto_scale_loss=False,
        )

    def _batches_from(self, position: Position) -> Iterator[Any]:
        """Returns the endless batches from a position on, the same as in an uninterrupted fit."""
        context, source = self._context, self._sources[0]
        done = len(position.progress.epochs) * context.steps_per_epoch + position.step
        epoch, skip = divmod(done, source.examples // context.update_size)
        size, seed = context.update_size, context.config.seed
        return iter(
            distributed(self._strategy, lambda share: source.epochs(size, seed, epoch, skip, share))
        )

    def _train(self, position: Position, batches: Iterator[Any]) -> Position:
        """Runs the remaining steps of the epoch."""
        context = self._context
        if position.step == 0:
            self._model.reset_metrics()
        began_s = time.monotonic() - position.elapsed_s
        pending = deque[tuple[int, tf.Tensor]]()
        for step in range(position.step, context.steps_per_epoch, self._at_once):
            context.profile.before(self._at_once)
            pending.append((step, self._loop.train(batches)))
            if len(pending) > _LOOK_BACK:
                self._require_finite(position, *pending.popleft())
            position = replace(
                position, step=step + self._at_once, elapsed_s=time.monotonic() - began_s
            )
            due = context.consensus.is_chief and context.plan.after(self._at_once)
            stop, due = context.consensus.any(context.request.made, due)
            if stop or due:
                self._require_all_finite(position, pending)
                self._save(position)
            if stop:
                raise self._interrupted(position)
        self._require_all_finite(position, pending)
        return position

    def _judge(self, position: Position) -> Position:
        """Evaluates the epoch and saves its row, its checkpoint and, if the best, its weights."""
        context, began_s = self._context, time.monotonic()
        learnt = self._loop.metrics()
        with self._averaged():
            judged = self._evaluate(position)
            row = Epoch(
                epoch=len(position.progress.epochs) + 1,
                loss=learnt.pop("loss"),
                val_loss=judged.pop("loss"),
                metrics={**learnt, **{f"val_{name}": each for name, each in judged.items()}},
                learning_rate=float(tf.convert_to_tensor(self._model.optimizer.learning_rate)),
                duration_s=round(position.elapsed_s + time.monotonic() - began_s, 3),
                stage=self._number,
            )
            position = Position(position.progress.after(row), best=position.best)
            if position.progress.best is row:
                position = context.checkpoints.save_best(position)
        self._save(position)
        context.log.enter(position.progress)
        return position

    def _evaluate(self, position: Position) -> dict[str, float]:
        """Computes loss and metrics on the eval split."""
        context, source = self._context, self._sources[1]
        # A replica without rows of a last small batch would fail; a TPU requires equal batches.
        multiple = context.batch_size if is_tpu(self._strategy) else context.replicas
        batch_size = min(context.batch_size, source.examples - source.examples % context.replicas)
        batches = distributed(
            self._strategy, lambda share: source.once(batch_size, multiple, share)
        )
        count = math.ceil((source.examples - source.examples % multiple) / batch_size)
        judged = self._loop.evaluate(batches, count)
        if not math.isfinite(judged["loss"]):
            epoch, culprits = len(position.progress.epochs) + 1, not_finite_keys(source, batch_size)
            kind = BadNumbers if culprits else TrainingError
            raise kind(bad_val_loss(judged["loss"], epoch, self._peak, culprits))
        return judged

    @property
    def _peak(self) -> float:
        return self._context.config.peak_of(self._phase.stage)

    def _save(self, position: Position) -> None:
        self._context.plan.save(lambda: self._context.checkpoints.save(position))

    def _interrupted(self, position: Position) -> TrainingInterrupted:
        return TrainingInterrupted(
            f"Training was asked to stop (SIGTERM) in epoch {len(position.progress.epochs) + 1}, "
            f"after {position.step} of its {self._context.steps_per_epoch} steps. Its state is "
            "saved: run it again, and it resumes there."
        )

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Gives the model the moving averages of its weights, if any, within the context."""
        if self._context.config.ema is None:
            yield
            return
        swap = keras.callbacks.SwapEMAWeights()
        swap.set_model(self._model)
        swap.on_test_begin()
        try:
            yield
        finally:
            swap.on_test_end()

    def _require_all_finite(
        self, position: Position, pending: deque[tuple[int, tf.Tensor]]
    ) -> None:
        while pending:
            self._require_finite(position, *pending.popleft())

    def _require_finite(self, position: Position, step: int, first_bad: tf.Tensor) -> None:
        """Raises TrainingError for the first step after which the loss was not a number."""
        offset = int(first_bad)
        if offset < 0:
            return
        context, step, epoch = self._context, step + offset, len(position.progress.epochs) + 1
        source, at = self._sources[0], (epoch - 1) * context.steps_per_epoch + step
        keys = source.keys(context.update_size, context.config.seed, at)
        batch = next(iter(source.epochs(context.update_size, context.config.seed, skip=at)))
        culprits = [keys[row] for row in not_finite_rows(batch)]
        if context.consensus.is_chief:
            write_bad_batch(context.log_dir, epoch, step + 1, keys)
        value = self._loop.metrics()["loss"]
        kind = BadNumbers if culprits else TrainingError
        raise kind(bad_loss(value, epoch, step + 1, self._peak, keys, culprits))


def steps_at_once(configured: int | None, steps_per_epoch: int, tpu: bool) -> int:
    """Returns the number of steps without returning to Python; it divides the steps of an epoch."""
    most = configured or (_MOST_STEPS_AT_ONCE if tpu else 1)
    return next(n for n in range(min(most, steps_per_epoch), 0, -1) if steps_per_epoch % n == 0)
