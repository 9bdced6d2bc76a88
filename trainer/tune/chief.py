"""The chief of a search: serves the oracle with KerasTuner's protocol until all trials end."""

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
#: Seconds that the chief waits for workers that have not heard of the end, or have died.
_FAREWELL_S = 20
#: Maximum number of workers that a trial may kill before it is dropped.
_MOST_HANDOUTS = 2


class SearchStoppedError(SkymillError):
    """A search cannot go on; its results are kept, and the next run resumes it."""


def conduct(oracle: kt.Oracle, tune: TuneConfig, places: Places, note: Callable[[], None]) -> None:
    """Assigns trials until none is left and the last has ended.

    Args:
        oracle: chooses the next trials.
        places: the search's folder, for the workers.
        note: called after every trial that ends.

    Raises:
        SearchStoppedError: no worker can go on.
    """
    elsewhere = tune.workers
    if elsewhere is not None:
        with _served(oracle, places, f"{elsewhere.host}:{elsewhere.port}") as desk:
            _wait(desk, places, note, lambda: _require_sign(desk, places, elsewhere.patience_s))
        return
    # The socket is in a private folder: no port is open, and other users have no access.
    with (
        tempfile.TemporaryDirectory(prefix="skymill-") as folder,
        _served(oracle, places, f"unix:{folder}/chief") as desk,
        LocalWorkers(tune.parallel, f"{folder}/chief", places) as workers,
    ):
        _wait(desk, places, note, lambda: workers.tend(desk.asked))


class Desk(OracleServicer):
    """KerasTuner's service, which also records requests and errors.

    Args:
        oracle: chooses the next trials.
        places: paths of the markers of returned trials.
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
        """Checks whether no trial is left or running, and every live worker knows."""
        if not self.stop_triggered or self.oracle.ongoing_trials:
            return False
        return not self.oracle.tuner_ids or time.monotonic() - self.heard_s > _FAREWELL_S

    def CreateTrial(self, request: Any, context: Any) -> Any:
        """Returns a trial for a worker: the one it did not finish, if any, else a new one."""
        with self._answering():
            self.asked[request.tuner_id] += 1
            while True:
                answer = super().CreateTrial(request, context)
                name = answer.trial.trial_id
                mine = self.oracle.ongoing_trials.get(request.tuner_id)
                if mine is None or mine.trial_id != name:
                    return answer  # no trial left, or none yet
                if not self._was_given_back(name):
                    self._handouts[name] += 1
                if self._handouts[name] <= _MOST_HANDOUTS:
                    return answer
                self.oracle.drop(mine, "its process died each time, as for want of memory")
                self.ended += 1

    def EndTrial(self, request: Any, context: Any) -> Any:
        """Records the end of a trial."""
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
            # The oracle keeps its lock when it raises, so that no call can proceed.
            self.error = error
            raise


@contextmanager
def _served(oracle: kt.Oracle, places: Places, address: str) -> Iterator[Desk]:
    # One thread, as in KerasTuner's own chief: its oracles are not made for more.
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
    """Checks for a sign of life of remote workers: a request, or a growing learning curve."""
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
