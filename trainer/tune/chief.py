"""The chief of a search: serves the oracle by KerasTuner's protocol until all trials have ended."""

import collections
import glob
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import keras_tuner as kt
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.protos import get_service_grpc

from components.raster.errors import SkymillError
from trainer.training.fit import PROGRESS_FILE
from trainer.tune.config import TuneConfig
from trainer.tune.processes import LocalWorkers
from trainer.tune.search import Places

_POLL_S = 0.2
#: How long the chief waits for workers that have not heard that all is done, or are no more.
_FAREWELL_S = 20
#: A trial that has cost so many workers their lives gets no other.
_MOST_HANDOUTS = 2


class SearchStoppedError(SkymillError):
    """A search cannot go on; what it has found is kept, and the next run takes it up."""


def conduct(oracle: kt.Oracle, tune: TuneConfig, places: Places, note: Callable[[], None]) -> None:
    """Gives out trials until there is none left and the last has ended.

    Args:
        oracle: decides what is tried next.
        places: where the search lies, for the workers.
        note: called after every trial that ends.

    Raises:
        SearchStoppedError: no worker can go on.
    """
    elsewhere = tune.workers
    if elsewhere is not None:
        with _served(oracle, places, f"{elsewhere.host}:{elsewhere.port}") as desk:
            _wait(desk, places, note, lambda: _require_sign(desk, places, elsewhere.patience_s))
        return
    # A socket in a folder of ours: no port is open, and nobody else on this machine gets in.
    with (
        tempfile.TemporaryDirectory(prefix="skymill-") as folder,
        _served(oracle, places, f"unix:{folder}/chief") as desk,
        LocalWorkers(tune.parallel, f"{folder}/chief", places) as workers,
    ):
        _wait(desk, places, note, lambda: workers.tend(desk.asked))


class Desk(OracleServicer):
    """KerasTuner's service, which remembers who asked for what, and what went wrong.

    Args:
        oracle: decides what is tried next.
        places: where workers leave a sign if they give a trial back.
    """

    def __init__(self, oracle: kt.Oracle, places: Places) -> None:
        super().__init__(oracle)
        self._places = places
        self.asked: collections.Counter[str] = collections.Counter()
        self.ended = 0
        self.error: Exception | None = None
        self.heard_s = time.monotonic()
        self._handouts: collections.Counter[str] = collections.Counter()

    def closed(self) -> bool:
        """Whether nothing is left to give out or under way, and every worker alive knows."""
        if not self.stop_triggered or self.oracle.ongoing_trials:
            return False
        return not self.oracle.tuner_ids or time.monotonic() - self.heard_s > _FAREWELL_S

    def CreateTrial(self, request: Any, context: Any) -> Any:
        """A trial for a worker: the one that it was given before, if it did not end that."""
        with self._answering():
            self.asked[request.tuner_id] += 1
            while True:
                answer = super().CreateTrial(request, context)
                name = answer.trial.trial_id
                mine = self.oracle.ongoing_trials.get(request.tuner_id)
                if mine is None or mine.trial_id != name:
                    return answer  # nothing to do, or nothing yet
                if not self._was_given_back(name):
                    self._handouts[name] += 1
                if self._handouts[name] <= _MOST_HANDOUTS:
                    return answer
                self.oracle.drop(mine, "its process died each time, as for want of memory")
                self.ended += 1

    def EndTrial(self, request: Any, context: Any) -> Any:
        """Takes what came of a trial."""
        with self._answering():
            answer = super().EndTrial(request, context)
            self.ended += 1
            return answer

    def _was_given_back(self, trial_id: str) -> bool:
        try:
            os.remove(self._places.given_back(trial_id))
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def _answering(self) -> Iterator[None]:
        self.heard_s = time.monotonic()
        try:
            yield
        except Exception as error:
            # The oracle keeps its lock when it raises, so nobody can go on.
            self.error = error
            raise


@contextmanager
def _served(oracle: kt.Oracle, places: Places, address: str) -> Iterator[Desk]:
    # One thread, as KerasTuner's own chief has: its oracles are made for no more.
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    desk = Desk(oracle, places)
    get_service_grpc().add_OracleServicer_to_server(desk, server)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise SearchStoppedError(f"{address}: the chief cannot listen there ({error})") from error
    server.start()
    try:
        yield desk
    finally:
        server.stop(grace=1).wait()


def _wait(desk: Desk, places: Places, note: Callable[[], None], watch: Callable[[], None]) -> None:
    noted = 0
    while not desk.closed():
        time.sleep(_POLL_S)
        if desk.ended != noted:
            noted = desk.ended
            note()
        if desk.error is not None:
            raise SearchStoppedError(f"the search's oracle failed: {desk.error!r}")
        if os.path.exists(places.fatal):
            with open(places.fatal, encoding="utf-8") as file:
                raise SearchStoppedError(file.read())
        watch()


def _require_sign(desk: Desk, places: Places, patience_s: int) -> None:
    """Workers elsewhere cannot be watched; they ask, and their learning curves grow."""
    silent_s = time.monotonic() - desk.heard_s
    if silent_s < patience_s:
        return
    curves = glob.glob(os.path.join(places.folder, "logs", "*", PROGRESS_FILE))
    newest = max((os.path.getmtime(path) for path in curves), default=0.0)
    if time.time() - newest > patience_s:
        raise SearchStoppedError(
            f"no worker has been heard for {patience_s} s; start some (k8s/tuner) and run again: "
            f"the {desk.ended} trials that ended are kept"
        )
