"""KerasTuner's oracles on our search space, with state that survives a kill at any time."""

import json
import os
from typing import Any

import keras_tuner as kt
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.oracles import BayesianOptimizationOracle, HyperbandOracle, RandomSearchOracle

from trainer.training.config import TrainConfig
from trainer.tune.brackets import hyperband_trials
from trainer.tune.config import DEFAULT_TRIALS, Dimension, TuneConfig
from trainer.tune.objective import TrialObjective
from trainer.tune.space import encode, is_whole

#: A failed trial does not predict the next. KerasTuner would stop after a few in a row, and its
#: oracle keeps its lock when it raises, so that all workers would wait forever.
_NEVER = -1


def make_oracle(tune: TuneConfig, train: TrainConfig, objective: TrialObjective) -> kt.Oracle:
    """Builds the oracle of the configured algorithm.

    Args:
        objective: the metric that ranks trials.
    """
    common: dict[str, Any] = {
        "objective": kt.Objective(objective.name, objective.direction),
        "hyperparameters": hyperparameters(tune, train),
        # KerasTuner treats 0 as no seed.
        "seed": tune.seed + 1,
        "max_consecutive_failed_trials": _NEVER,
    }
    if tune.algorithm == "hyperband":
        epochs = epochs_of_a_trial(tune, train)
        oracle = _Hyperband(
            max_epochs=epochs, factor=tune.factor, hyperband_iterations=tune.iterations, **common
        )
        # TFX requests this number of best trials.
        oracle.max_trials = hyperband_trials(epochs, tune.factor) * tune.iterations
        return oracle
    trials = tune.trials or DEFAULT_TRIALS
    if tune.algorithm == "random":
        return _Random(max_trials=trials, **common)
    # At most half of the trials are spent before the objective's model is used.
    initial = min(3 * len(tune.space), max(3, trials // 2))
    return _Bayesian(max_trials=trials, num_initial_points=initial, **common)


def epochs_of_a_trial(tune: TuneConfig, train: TrainConfig) -> int:
    """Returns the epochs of a complete training of the search, over all its stages."""
    if train.stages:
        return sum(stage.epochs for stage in train.stages)
    return tune.epochs or train.epochs


def hyperparameters(tune: TuneConfig, train: TrainConfig) -> kt.HyperParameters:
    """Converts the search space to KerasTuner's types, each dimension by its path."""
    space = kt.HyperParameters()
    for path, dimension in tune.space.items():
        _register(space, path, dimension, train)
    return space


def _register(
    space: kt.HyperParameters, path: str, dimension: Dimension, train: TrainConfig
) -> None:
    if dimension.values is None:
        register = space.Int if is_whole(path, dimension, train) else space.Float
        low, high, step = dimension.min, dimension.max, dimension.step
        register(path, low, high, step=step, sampling=dimension.sampling)
        return
    values = encode(dimension.values)
    if len(values) == 1:
        space.Fixed(path, values[0])
    elif isinstance(values[0], bool):
        space.Boolean(path)
    else:
        space.Choice(path, values)


class _DurableOracle(kt.Oracle):
    """Extends KerasTuner's oracles to survive a kill at any time and to serve remote workers.

    Their files are replaced atomically. A trial that was recorded but never begun is dropped.
    Values that a worker sends back are ignored: the protocol makes every number a 32-bit float,
    which no longer equals a 64-bit member of a list.
    """

    trials: dict[str, Trial]

    def save(self) -> None:
        _write_whole(self._get_oracle_fname(), self)

    def _save_trial(self, trial: Trial) -> None:
        _write_whole(os.path.join(self._get_trial_dir(trial.trial_id), "trial.json"), trial)

    def reload(self) -> None:
        super().reload()
        known = {*self.start_order, *self._retry_queue}
        self.trials = {name: trial for name, trial in sorted(self.trials.items()) if name in known}

    def drop(self, trial: Trial, message: str) -> None:
        """Ends a trial that repeatedly kills its workers."""
        trial.status, trial.message = TrialStatus.FAILED, message
        self.end_trial(trial)

    def end_trial(self, trial: Trial) -> None:
        trial.hyperparameters = self.trials[trial.trial_id].hyperparameters
        super().end_trial(trial)


class _Random(_DurableOracle, RandomSearchOracle):
    pass


class _Hyperband(_DurableOracle, HyperbandOracle):
    pass


class _Bayesian(_DurableOracle, BayesianOptimizationOracle):
    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Proposes values as KerasTuner does, but replaces duplicates by a random trial."""
        found: dict[str, Any] = super().populate_space(trial_id)
        if found["values"] and self._duplicate(found["values"]):
            return self._random_populate_space()
        return found


def _write_whole(path: str, state: Any) -> None:
    partial = f"{path}.partial"
    with open(partial, "w", encoding="utf-8") as file:
        json.dump(state.get_state(), file)
    os.replace(partial, path)
