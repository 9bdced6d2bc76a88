"""The oracles on a quadratic whose optimum is known, asked as workers ask them."""

import math

import pytest
from keras_tuner.engine.trial import Trial, TrialStatus

from trainer.training.config import TrainConfig
from trainer.tune.brackets import hyperband_rounds, hyperband_trials
from trainer.tune.config import TuneConfig
from trainer.tune.objective import TrialObjective, trial_objective
from trainer.tune.oracle import hyperparameters, make_oracle
from trainer.tune.trial import Outcome, outcome

SPACE = {
    "learning_rate": {"min": 1e-4, "max": 1.0, "sampling": "log"},
    "model.dropout": {"min": 0, "max": 0.9},
}


def height(values: dict) -> float:
    """Zero at a learning rate of 0.01 and a dropout of 0.3, more everywhere else."""
    decades = math.log10(values["learning_rate"]) + 2
    return decades**2 + (3 * (values["model.dropout"] - 0.3)) ** 2


def oracle_of(folder, **tune):
    config = TuneConfig.model_validate({"space": SPACE, **tune})
    oracle = make_oracle(config, TrainConfig(), TrialObjective("val_loss", "min"))
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "search")
    return oracle


def ask(oracle, judge=height, most=1000) -> list[Trial]:
    """Runs trials until none is left, like a worker behind KerasTuner's protocol."""
    done = []
    while len(done) < most:
        trial = oracle.create_trial("worker-0")
        if trial.status == TrialStatus.STOPPED:
            return done
        sent = Trial.from_proto(trial.to_proto())
        value = judge(trial.hyperparameters.values)
        if value is None:
            sent.status = TrialStatus.FAILED
        else:
            oracle.update_trial(trial.trial_id, {"val_loss": value})
            sent.status = TrialStatus.COMPLETED
        oracle.end_trial(sent)
        done.append(trial)
    return done


@pytest.mark.slow
def test_bayesian_search_finds_the_optimum_of_a_quadratic(tmp_path):
    oracle = oracle_of(tmp_path, algorithm="bayesian", trials=14)
    assert len(ask(oracle)) == 14
    best = oracle.get_best_trials(1)[0].hyperparameters.values
    assert height(best) < 0.05
    assert best["learning_rate"] == pytest.approx(0.01, rel=0.65)


def test_ranges_are_sampled_as_they_say(tmp_path):
    space = {
        "learning_rate": {"min": 1e-4, "max": 1.0, "sampling": "log"},
        "batch_size": {"min": 8, "max": 64, "sampling": "log", "step": 2},
        "model.dropout": {"min": 0.0, "max": 0.5, "step": 0.25},
        "early_stopping.patience": {"min": 1, "max": 3},
    }
    oracle = oracle_of(tmp_path, trials=100, space=space)
    drawn = [trial.hyperparameters.values for trial in ask(oracle, lambda values: 1.0)]
    assert {values["batch_size"] for values in drawn} == {8, 16, 32, 64}
    assert {values["model.dropout"] for values in drawn} == {0.0, 0.25, 0.5}
    assert {values["early_stopping.patience"] for values in drawn} == {1, 2, 3}
    assert all(isinstance(values["early_stopping.patience"], int) for values in drawn)
    rates = [values["learning_rate"] for values in drawn]
    # Half of four decades lies below 0.01; of 100 draws 5 is a standard error.
    assert 30 < sum(rate < 1e-2 for rate in rates) < 70


def test_a_seed_decides_all_values_and_zero_is_one(tmp_path):
    draws = [
        [
            trial.hyperparameters.values
            for trial in ask(oracle_of(tmp_path / str(number), trials=5, seed=seed))
        ]
        for number, seed in enumerate((0, 0, 1))
    ]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize(("epochs", "factor", "rounds"), [
    (9, 3, [(2, 9, 1), (2, 3, 3), (2, 1, 9), (1, 5, 3), (1, 2, 9), (0, 3, 9)]),
    (4, 2, [(2, 4, 1), (2, 2, 2), (2, 1, 4), (1, 3, 2), (1, 2, 4), (0, 3, 4)]),
    (1, 3, [(0, 1, 1)]),
])  # fmt: skip
def test_hyperband_halves_as_worked_out_by_hand(tmp_path, epochs, factor, rounds):
    found = [(one.bracket, one.trials, one.epochs) for one in hyperband_rounds(epochs, factor)]
    assert found == rounds
    oracle = oracle_of(tmp_path, algorithm="hyperband", epochs=epochs, factor=factor)
    trials = ask(oracle)
    assert len(trials) == oracle.max_trials == hyperband_trials(epochs, factor)
    wanted = sorted(limit for _, count, limit in rounds for _ in range(count))
    assert sorted(it.hyperparameters.values["tuner/epochs"] for it in trials) == wanted
    by_id = {trial.trial_id: trial.hyperparameters.values for trial in trials}
    for values in by_id.values():
        if before := values.get("tuner/trial_id"):
            assert by_id[before]["learning_rate"] == values["learning_rate"]
            assert by_id[before]["tuner/epochs"] == values["tuner/initial_epoch"]


@pytest.mark.parametrize("algorithm", ["random", "bayesian", "hyperband"])
def test_a_search_goes_on_from_its_files_wherever_it_was_killed(tmp_path, algorithm):
    more = {"epochs": 4, "factor": 2} if algorithm == "hyperband" else {"trials": 5}
    first = oracle_of(tmp_path, algorithm=algorithm, **more)
    ended = [trial.trial_id for trial in ask(first, most=3)]
    under_way = first.create_trial("worker-0").trial_id
    (tmp_path / "search" / "trial_9").mkdir()
    # Killed between the two files of a trial that begins, which no worker has seen.
    unknown = (tmp_path / f"search/trial_{under_way}/trial.json").read_text()
    lost = unknown.replace(f'"trial_id": "{under_way}"', '"trial_id": "9"')
    (tmp_path / "search" / "trial_9" / "trial.json").write_text(lost)

    second = oracle_of(tmp_path, algorithm=algorithm, **more)
    second.reload()
    again = ask(second)
    assert again[0].trial_id == under_way
    assert not {trial.trial_id for trial in again} & set(ended)
    assert len(again) + len(ended) == second.max_trials


def test_failed_trials_do_not_end_a_search(tmp_path):
    oracle = oracle_of(tmp_path, trials=12)
    ask(oracle, lambda values: None if values["learning_rate"] > 3e-4 else height(values))
    states = [trial.status for trial in oracle.trials.values()]
    assert states.count(TrialStatus.FAILED) > 3
    assert len(states) == 12


def test_numbers_are_those_that_were_drawn_although_the_protocol_rounds_them(tmp_path):
    space = {"learning_rate": {"values": [0.1, 0.3]}, "model.dropout": {"min": 0, "max": 0.9}}
    oracle = oracle_of(tmp_path, algorithm="bayesian", trials=5, space=space)
    for trial in ask(oracle, lambda values: values["model.dropout"]):
        assert trial.hyperparameters.values["learning_rate"] in (0.1, 0.3)
        assert oracle.trials[trial.trial_id].hyperparameters.values["learning_rate"] in (0.1, 0.3)


def test_bayesian_search_of_few_combinations_tries_each_once(tmp_path):
    space = {"optimizer": {"values": ["adam", "sgd", "adamw"]}, "model.batch_norm": "bool"}
    oracle = oracle_of(tmp_path, algorithm="bayesian", trials=9, space=space)
    tried = [tuple(it.hyperparameters.values.values()) for it in ask(oracle, lambda values: 1.0)]
    assert len(tried) == len(set(tried)) <= 6


def test_every_kind_of_dimension_has_its_type():
    space = {
        "learning_rate": {"min": 1, "max": 2},
        "batch_size": {"min": 1, "max": 2},
        "model.batch_norm": "bool",
        "optimizer": {"values": ["sgd"]},
        "model.filters": {"values": [[4], [8]]},
    }
    found = hyperparameters(TuneConfig.model_validate({"space": space}), TrainConfig()).space
    kinds = {one.name: type(one).__name__ for one in found}
    assert kinds == {
        "learning_rate": "Float",
        "batch_size": "Int",
        "model.batch_norm": "Boolean",
        "optimizer": "Fixed",
        "model.filters": "Choice",
    }


def test_the_objective_is_what_early_stopping_monitors_unless_one_is_named():
    def named(**tune):
        return trial_objective(TuneConfig.model_validate({"space": SPACE, **tune}), TrainConfig())

    assert named() == TrialObjective("val_loss", "min")
    stopping = {"patience": 3, "monitor": "val_accuracy"}
    assert named(early_stopping=stopping) == TrialObjective("val_accuracy", "max")
    assert named(objective="val_rmse") == TrialObjective("val_rmse", "min")


def test_a_trial_counts_with_the_epoch_whose_weights_are_kept():
    curve = [
        {
            "epoch": number,
            "loss": 1.0,
            "val_loss": loss,
            "val_accuracy": accuracy,
            "learning_rate": 0.1,
            "duration_s": 2.0,
        }
        for number, (loss, accuracy) in enumerate([(0.9, 0.5), (0.4, 0.7), (0.6, 0.8)], start=1)
    ]
    judged = TrialObjective("val_accuracy", "max")
    assert outcome(judged, curve, "val_loss") == Outcome(0.7, 3, 2, 6.0)
    assert outcome(judged, curve, "val_accuracy", begin=2) == Outcome(0.8, 1, 3, 2.0)
