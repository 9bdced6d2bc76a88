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
from trainer.training.progress import PROGRESS_FILE
from trainer.tune.config import TuneConfig
from trainer.tune.processes import LocalWorkers
from trainer.tune.search import SearchPaths

_POLL_S = 0.2
#: Seconds that the chief waits for workers that have not heard of the end, or have died.
_FAREWELL_S = 20
#: Maximum number of workers that a trial may kill before it is dropped.
_MOST_HANDOUTS = 2


class SearchStoppedError(SkymillError):
    """A search cannot continue; its results are kept, and the next run resumes it."""


def conduct(
    oracle: kt.Oracle, tune: TuneConfig, paths: SearchPaths, note: Callable[[], None]
) -> None:
    """Assigns trials until none is left and the last has ended.

    Args:
        oracle: chooses the next trials.
        paths: the search's folder, for the workers.
        note: called after every trial that ends.

    Raises:
        SearchStoppedError: no worker can continue.
    """
    elsewhere = tune.workers
    if elsewhere is not None:
        with _served(oracle, paths, f"{elsewhere.host}:{elsewhere.port}") as service:
            _wait(service, paths, note, lambda: _require_sign(service, paths, elsewhere.patience_s))
        return
    # The socket is in a private folder: no port is open, and other users have no access.
    with (
        tempfile.TemporaryDirectory(prefix="skymill-") as folder,
        _served(oracle, paths, f"unix:{folder}/chief") as service,
        LocalWorkers(tune.parallel, f"{folder}/chief", paths) as workers,
    ):
        _wait(service, paths, note, lambda: workers.tend(service.requests_of))


class RecordingService(OracleServicer):
    """KerasTuner's service, which also records requests and errors.

    Args:
        oracle: chooses the next trials.
        paths: paths of the markers of returned trials.
    """

    def __init__(self, oracle: kt.Oracle, paths: SearchPaths) -> None:
        super().__init__(oracle)
        self._paths = paths
        self.requests_of: collections.Counter[str] = collections.Counter()
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
            self.requests_of[request.tuner_id] += 1
            while True:
                answer = super().CreateTrial(request, context)
                name = answer.trial.trial_id
                mine = self.oracle.ongoing_trials.get(request.tuner_id)
                if mine is None or mine.trial_id != name:
                    return answer  # no trial left, or none yet
                if not self._was_returned(name):
                    self._handouts[name] += 1
                if self._handouts[name] <= _MOST_HANDOUTS:
                    return answer
                self.oracle.drop(mine, "its process died each time, perhaps for lack of memory")
                self.ended += 1

    def EndTrial(self, request: Any, context: Any) -> Any:
        """Records the end of a trial."""
        with self._answering():
            answer = super().EndTrial(request, context)
            self.ended += 1
            return answer

    def _was_returned(self, trial_id: str) -> bool:
        try:
            os.remove(self._paths.given_back(trial_id))
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
def _served(oracle: kt.Oracle, paths: SearchPaths, address: str) -> Iterator[RecordingService]:
    # One thread, as in KerasTuner's own chief: its oracles are not made for more.
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    service = RecordingService(oracle, paths)
    get_service_grpc().add_OracleServicer_to_server(service, server)
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise SearchStoppedError(f"{address}: the chief cannot listen there ({error})") from error
    server.start()
    try:
        yield service
    finally:
        server.stop(grace=1).wait()


def _wait(
    service: RecordingService,
    paths: SearchPaths,
    note: Callable[[], None],
    watch: Callable[[], None],
) -> None:
    noted = 0
    while not service.closed():
        time.sleep(_POLL_S)
        if service.ended != noted:
            noted = service.ended
            note()
        if service.error is not None:
            raise SearchStoppedError(f"the search's oracle failed: {service.error!r}")
        if os.path.exists(paths.fatal):
            with open(paths.fatal, encoding="utf-8") as file:
                raise SearchStoppedError(file.read())
        watch()


def _require_sign(service: RecordingService, paths: SearchPaths, patience_s: int) -> None:
    """Checks for a sign of life of remote workers: a request, or a growing learning curve."""
    silent_s = time.monotonic() - service.heard_s
    if silent_s < patience_s:
        return
    curves = glob.glob(os.path.join(paths.folder, "logs", "*", PROGRESS_FILE))
    newest = max((os.path.getmtime(path) for path in curves), default=0.0)
    if time.time() - newest > patience_s:
        raise SearchStoppedError(
            f"no worker has responded for {patience_s} s; start some (k8s/tuner) and run again: "
            f"the {service.ended} trials that ended are kept"
        )
