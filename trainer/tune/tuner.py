"""KerasTuner's tuner in two roles: workers that run trials, and the chief that assigns them."""

import json
import os
import shutil
import time
import traceback
from pathlib import Path
from typing import Any

from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial
from keras_tuner.errors import FailedTrialError, FatalError

from components.raster.errors import ConfigError, SkymillError
from trainer.training.checkpoint import TrainingInterrupted
from trainer.training.failures import TrainingError
from trainer.tune import chief
from trainer.tune.exchange import announce, shared
from trainer.tune.oracle import make_oracle
from trainer.tune.picture import parallel_coordinates
from trainer.tune.results import Results, TrialRow, ranked, write_results
from trainer.tune.search import Search, SearchPaths
from trainer.tune.space import decode
from trainer.tune.trial import Outcome, Rounds, TrialFailed, forget, run_trial

_IDLE_S = 0.5
_LOGS = "logs"


class TuningError(SkymillError):
    """A search ended without a usable trial."""


class WorkerTuner(BaseTuner):
    """Runs the trials that the chief assigns; the KERASTUNER_ variables give its address.

    Args:
        search: the search.
        paths: its folder, the same for the chief and all workers.
    """

    def __init__(self, search: Search, paths: SearchPaths) -> None:
        self._search, self._paths = search, paths
        self._refused_before = False
        oracle = make_oracle(search.tune, search.train, search.objective)
        super().__init__(oracle, directory=paths.root, project_name=paths.name)

    def pre_create_trial(self) -> None:
        """Pauses if no trial was available last time, because KerasTuner would poll at once."""
        if self._refused_before:
            time.sleep(_IDLE_S)
        self._refused_before = True

    def on_trial_begin(self, trial: Trial) -> None:
        self._refused_before = False
        super().on_trial_begin(trial)

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> float:
        """Trains with the trial's values, writes an outcome and returns the objective."""
        paths, name = self._paths, trial.trial_id
        known = _outcome(paths, trial)
        if known.objective is not None:
            return known.objective  # killed after the trial ended and before the chief knew
        drawn = _drawn(paths, name)
        first = self._first_of(name)
        end = drawn.get("tuner/epochs")
        rounds = Rounds(drawn.get("tuner/initial_epoch", 0), end)
        try:
            checkpoints = paths.checkpoints(first)
            found = run_trial(self._search, decode(drawn), paths.logs(first), checkpoints, rounds)
        except TrainingInterrupted as error:
            # The values did not fail: the process that replaces this one resumes the trial.
            Path(paths.given_back(name)).touch()
            raise SystemExit(str(error)) from error
        except (TrialFailed, TrainingError, ConfigError) as error:
            Outcome(None, message=str(error)).write(paths.outcome(name))
            raise FailedTrialError(str(error)) from error
        except SkymillError as error:
            Path(paths.fatal).write_text(str(error), encoding="utf-8")
            raise FatalError(str(error)) from error
        except Exception as error:
            traceback.print_exc()
            message = f"{type(error).__name__}: {error}"
            Outcome(None, message=message).write(paths.outcome(name))
            raise FailedTrialError(message) from error
        found.write(paths.outcome(name))
        if end is None:
            forget(checkpoints)
        assert found.objective is not None
        return found.objective

    def _first_of(self, trial_id: str) -> str:
        """Returns the first trial of a chain: Hyperband continues trials under new ids."""
        while before := _drawn(self._paths, trial_id).get("tuner/trial_id"):
            trial_id = before
        return trial_id


class ChiefTuner(BaseTuner):
    """Owns the oracle, has workers run the trials, and publishes the results.

    It resumes a killed search of the same digest: ended trials count, and running ones resume from
    their checkpoints.

    Args:
        search: the search.
        root: the folder of all searches, shared with the workers.
    """

    def __init__(self, search: Search, root: str) -> None:
        self._search = search
        self._paths = SearchPaths(root, search.digest)
        os.makedirs(self._paths.folder, exist_ok=True)
        oracle = make_oracle(search.tune, search.train, search.objective)
        super().__init__(oracle, directory=root, project_name=search.digest)
        self.oracle.verbose = 0

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Runs all trials that have not ended yet.

        Raises:
            TuningError: no trial ended with a usable result, or no worker can run.
        """
        paths = self._paths
        Path(paths.fatal).unlink(missing_ok=True)
        elsewhere = self._search.tune.workers is not None
        search = shared(self._search, paths) if elsewhere else self._search
        Path(paths.search).write_text(search.to_json(), encoding="utf-8")
        if elsewhere:
            announce(paths)
        self.save()
        chief.conduct(self.oracle, self._search.tune, paths, self._note)
        self._note()
        if not self.results().completed:
            raise TuningError(self._nothing_found())

    def results(self) -> Results:
        """Returns all trials so far, the best first."""
        objective = self._search.objective
        rows = [self._row(trial) for trial in list(self.oracle.trials.values())]
        return Results(
            algorithm=self._search.tune.algorithm,
            objective=objective.name,
            direction=objective.direction,
            rows=ranked(rows, objective.direction),
        )

    def publish(self, folder: str) -> None:
        """Writes table, plot and learning curves of all trials into a folder."""
        results = self.results()
        write_results(results, folder)
        parallel_coordinates(results, self._search.tune.space, folder)
        logs = os.path.join(self._paths.folder, _LOGS)
        if os.path.isdir(logs):
            shutil.copytree(logs, os.path.join(folder, _LOGS), dirs_exist_ok=True)

    def forget(self) -> None:
        """Deletes the state from which a killed search would resume."""
        shutil.rmtree(self._paths.folder, ignore_errors=True)

    def _note(self) -> None:
        """Records the ended trials for commands that follow the search."""
        results = self.results()
        rows = {row.trial: row.to_json() for row in results.rows}
        best = results.completed[0].objective if results.completed else None
        more = {"trials": self.oracle.max_trials, "name": results.objective, "best": best}
        partial = Path(f"{self._paths.finished}.partial")
        ended = (json.dumps({**rows[name], **more}) for name in list(self.oracle.end_order))
        partial.write_text("".join(f"{line}\n" for line in ended), encoding="utf-8")
        partial.replace(self._paths.finished)

    def _row(self, trial: Trial) -> TrialRow:
        outcome = _outcome(self._paths, trial)
        return TrialRow(
            trial=trial.trial_id,
            status=str(trial.status).lower(),
            objective=outcome.objective,
            values=decode(trial.hyperparameters.values),
            epochs=outcome.epochs,
            best_epoch=outcome.best_epoch,
            seconds=outcome.seconds,
            message=outcome.message,
        )

    def _nothing_found(self) -> str:
        messages = [row.message for row in self.results().rows if row.message]
        first = messages[0] if messages else "none was run"
        return (
            f"All {len(self.oracle.trials)} trials failed, so there are no values to train with. "
            f"The first: {first}"
        )


def _drawn(paths: SearchPaths, trial_id: str) -> dict[str, Any]:
    with open(paths.values(trial_id), encoding="utf-8") as file:
        values: dict[str, Any] = json.load(file)["hyperparameters"]["values"]
    return values


def _outcome(paths: SearchPaths, trial: Trial) -> Outcome:
    try:
        with open(paths.outcome(trial.trial_id), encoding="utf-8") as file:
            found = Outcome(**json.load(file))
    except (OSError, ValueError):
        found = Outcome(None)
    return found if found.message or not trial.message else Outcome(None, message=trial.message)
