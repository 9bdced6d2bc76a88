"""Where a pipeline keeps what it makes: one folder for runs, artifacts, lineage and models."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass

from components.raster.errors import SkymillError


class WorkspaceBusyError(SkymillError):
    """Another run is going on in the same workspace."""


@dataclass(frozen=True)
class Workspace:
    """The layout below the configured workspace."""

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
        """Where a training that was killed leaves what the next run goes on from."""
        return os.path.join(self.root, "checkpoints")

    @property
    def tuning(self) -> str:
        """Where a search that was killed leaves what the next run goes on from."""
        return os.path.join(self.root, "tuning")

    @property
    def searches(self) -> str:
        """One folder for what each search outside of a run has found."""
        return os.path.join(self.root, "searches")

    @property
    def trainings(self) -> str:
        """One folder for each training by itself: model, logs, pictures."""
        return os.path.join(self.root, "trainings")

    def run_dir(self, run_id: str) -> str:
        """The folder of one run."""
        return os.path.join(self.runs, run_id)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the workspace for one run; the system lets go of it if the process dies.

        Raises:
            WorkspaceBusyError: another run holds it.
        """
        os.makedirs(self.root, exist_ok=True)
        with open(os.path.join(self.root, ".lock"), "w", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise WorkspaceBusyError(
                    f"{self.root}: another run is going on here. Wait for it, or give this one "
                    "another `workspace`."
                ) from error
            yield
