"""Executes the API server's runs with the imitation of driver and launcher."""

import threading
from typing import Any

import yaml

from tests.kubeflow.api_server.metadata import Metadata
from tests.kubeflow.api_server.store import Store
from tests.kubeflow.launcher import FAILED, SUCCEEDED, Backend, Run


class Execution:
    """Runs in the background, each reported to the server as the cluster's agent does it.

    Attributes:
        runs: the outcome of each run, by its id.
    """

    def __init__(self, backend: Backend, store: Store, metadata: Metadata) -> None:
        self.runs: dict[str, Run] = {}
        self._backend, self._store, self._metadata = backend, store, metadata
        self._threads: list[threading.Thread] = []
        store.execute = self.start

    def start(self, run: dict[str, Any], text: str, values: dict[str, Any]) -> None:
        """Begins a run."""
        thread = threading.Thread(target=self._run, args=(run["run_id"], text, values))
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        """Waits for all runs."""
        for thread in self._threads:
            thread.join()

    def _run(self, run_id: str, text: str, values: dict[str, Any]) -> None:
        begun: dict[str, str] = {}

        def begin(step: str, given: dict[str, Any]) -> None:
            begun.update(dict.fromkeys(begun, SUCCEEDED))
            begun[step] = "RUNNING"
            self._store.set_state(run_id, "RUNNING", begun)

        done = self._backend.run(text, values, hook=begin)
        self.runs[run_id] = done
        self._metadata.record(run_id, done, next(yaml.safe_load_all(text)))
        steps = {name: task.state for name, task in done.items()}
        state = FAILED if FAILED in steps.values() else SUCCEEDED
        logs = {name: task.log for name, task in done.items() if task.log}
        self._store.set_state(run_id, state, steps, logs)
