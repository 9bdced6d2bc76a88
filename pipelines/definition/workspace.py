"""The workspace: one folder for a pipeline's runs, artifacts, lineage and models."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass

from components.raster.errors import SkymillError


class WorkspaceBusyError(SkymillError):
    """Another run, or the same cross-validation, is in progress in the same workspace."""


@dataclass(frozen=True)
class Workspace:
    """Folder layout below the configured workspace."""

    root: str

    @property
    def artifacts(self) -> str:
        """TFX's pipeline root."""
        return os.path.join(self.root, "artifacts")

    @property
    def metadata(self) -> str:
        """The lineage store, an ML Metadata database in SQLite."""
        return os.path.join(self.root, "metadata.sqlite")

    @property
    def runs(self) -> str:
        """One folder for each run: record, configuration, log, summary."""
        return os.path.join(self.root, "runs")

    @property
    def checkpoints(self) -> str:
        """Folder of checkpoints from which the next run resumes a killed training."""
        return os.path.join(self.root, "checkpoints")

    @property
    def tuning(self) -> str:
        """Folder of trials from which the next run resumes a killed search."""
        return os.path.join(self.root, "tuning")

    @property
    def folds(self) -> str:
        """Folder of the metrics of folds from which a stopped cross-validation continues."""
        return os.path.join(self.root, "folds")

    @property
    def failures(self) -> str:
        """Folder of the markers by which a cluster's retries end early."""
        return os.path.join(self.root, "failures")

    @property
    def searches(self) -> str:
        """One folder for the results of each search outside a run."""
        return os.path.join(self.root, "searches")

    @property
    def trainings(self) -> str:
        """One folder for each training outside a run: model, logs, pictures."""
        return os.path.join(self.root, "trainings")

    def run_dir(self, run_id: str) -> str:
        """Returns the folder of one run."""
        return os.path.join(self.runs, run_id)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the workspace for one run; the system releases the lock if the process dies.

        Raises:
            WorkspaceBusyError: another run holds it.
        """
        os.makedirs(self.root, exist_ok=True)
        with open(os.path.join(self.root, ".lock"), "w", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise WorkspaceBusyError(
                    f"{self.root}: another run is in progress here. Wait for it, or give this one "
                    "another `workspace`."
                ) from error
            yield
