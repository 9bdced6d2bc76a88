"""The folder of a run's predictions: it appears when it is complete, and a killed run continues.

During a run its finished shards and its state are in a folder beside the output (in an
object store below it, where `summary.json` is the last object to appear).
"""

import json
import os
import posixpath
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from components.ingest.files import storage
from components.ingest.files.layout import LISTING_FILE, SUMMARY_FILE, rejects_name
from components.ingest.records.summary import IngestSummary
from components.raster.errors import ConfigError, TransientDataError
from components.raster.location import is_remote, local_path
from components.raster.only_process import only_process
from components.raster.stores.only_writer import only_writer
from components.raster.stores.opening import is_object_store, open_store
from components.raster.strict_json import strict_json

_IDENTITY_FILE = "identity"
#: Lock in an output in an object store while a run writes there.
_LOCK = ".lock"


@dataclass(frozen=True)
class PredictionPaths:
    """Paths of one run's files.

    Attributes:
        final: the folder that users read.
        shards: number of shards; 0 where the output has none.
        suffix: suffix of the files of predictions.
    """

    final: str
    shards: int
    suffix: str

    @property
    def work(self) -> str:
        """Folder of the unfinished run."""
        if is_remote(self.final):
            return storage.join(self.final, ".unfinished")
        parent, name = os.path.split(os.path.abspath(local_path(self.final)))
        return os.path.join(parent, f".{name}.unfinished")

    @property
    def results(self) -> str:
        """Folder of finished files, until all of them are."""
        return storage.join(self.work, "results")

    @property
    def state(self) -> str:
        """Folder of the listing, and of a file for each finished shard."""
        return storage.join(self.work, "state")

    @property
    def attempts(self) -> str:
        """Folder of files that are being written, each attempt under a name of its own."""
        return storage.join(self.work, "attempts")

    @property
    def listing(self) -> str:
        """The listing that workers read."""
        return storage.join(self.state, LISTING_FILE)

    def done(self, shard: int) -> str:
        """Returns the path of a finished shard's summary."""
        return storage.join(self.state, f"{shard:05d}.json")

    def result(self, name: str) -> str:
        """Returns the path of a finished file."""
        return storage.join(self.results, name)

    def summary_of(self, shard: int) -> IngestSummary | None:
        """Returns the summary of a finished shard; None of another."""
        path = self.done(shard)
        if not storage.exists(path):
            return None
        return IngestSummary.from_json(storage.read(path).decode())

    def publish(self, write: Callable[[str], None], target: str) -> None:
        """Writes a file under a name of its own, and renames it when it is complete."""
        source = storage.join(self.attempts, uuid.uuid4().hex)
        write(source)
        storage.publish(source, target)

    def finish(self, shard: int, rejects: bytes, summary: IngestSummary) -> None:
        """Publishes the rejects of a shard whose results are there, and then its summary."""
        for data, target in (
            (rejects, self.result(self.rejects_name(shard))),
            (summary.to_json().encode(), self.done(shard)),
        ):
            self.publish(partial(storage.write, data=data), target)

    def predictions_name(self, shard: int) -> str:
        """Returns the name of a shard's predictions."""
        return f"predictions-{shard:05d}-of-{self.shards:05d}.{self.suffix}"

    def rejects_name(self, shard: int) -> str:
        """Returns the name of a shard's rejects."""
        return rejects_name(shard, self.shards)


def finished_summary(final: str, identity: str, *, overwrite: bool) -> Mapping[str, Any] | None:
    """Returns the summary of a finished run of this identity; None where a run is due.

    Raises:
        ConfigError: the folder holds other predictions, and `overwrite` is False; or it holds other
            files, which nothing may replace.
    """
    found = _summary_in(final)
    if found is not None and found["identity"] == identity:
        return found
    if found is not None and not overwrite:
        raise ConfigError(
            f"{final} holds other predictions: of other images, of another model, or with other "
            "settings. Remove it, choose another --output, or give --overwrite."
        )
    if found is None and not is_remote(final) and _is_in_use(local_path(final)):
        raise ConfigError(
            f"{final} holds other files than predictions, which are never replaced. Move them "
            "away, or choose another --output."
        )
    return None


def _summary_in(final: str) -> dict[str, Any] | None:
    """Reads the summary of a finished run; None where there is none of this command."""
    path = storage.join(final, SUMMARY_FILE)
    if not storage.exists(path):
        return None
    try:
        found = json.loads(storage.read(path))
    except ValueError:
        return None
    return found if isinstance(found, dict) and "identity" in found else None


def _is_in_use(path: str) -> bool:
    """Checks whether there is anything but an empty folder."""
    return os.path.lexists(path) and not (os.path.isdir(path) and not os.listdir(path))


def only_run_into(paths: PredictionPaths) -> AbstractContextManager[None]:
    """Locks an output for one run, on disks and in object stores.

    Raises:
        TransientDataError: on entry, if another run writes there.
        StorageError: on entry, if the store cannot be reached.
    """
    place = paths.final.rstrip("/")
    refusal = TransientDataError(
        f"another run writes into {place}. Wait for it, or choose another --output"
    )
    if is_object_store(place):
        return only_writer(open_store(place), _LOCK, refusal)
    if is_remote(place):
        return nullcontext()
    return only_process(Path(f"{paths.work}.lock"), refusal)


def begin(paths: PredictionPaths, identity: str, listing: bytes) -> None:
    """Makes the folders of a run, or keeps those of a killed run of the same identity."""
    path = storage.join(paths.state, _IDENTITY_FILE)
    is_own = storage.exists(path) and storage.read(path).decode() == identity
    # A run that was killed just after its results were put in place leaves only its state.
    has_results = is_remote(paths.results) or storage.exists(paths.results)
    if not (is_own and has_results):
        remove_work(paths)
        for folder in (paths.results, paths.state):
            storage.make_folder(folder)
        storage.write(paths.listing, listing)
        storage.write(path, identity.encode())
    storage.make_folder(paths.attempts)


def complete(paths: PredictionPaths, names: list[str], summary: Mapping[str, Any]) -> None:
    """Puts the finished files in place, with the summary; a local folder appears in one step.

    Args:
        paths: paths of the run.
        names: names of the files in `paths.results`.
        summary: content of `summary.json`.

    Raises:
        TransientDataError: a file is missing, as after another run into the same folder.
    """
    text = (strict_json(summary, indent=1) + "\n").encode()
    if is_remote(paths.final):
        for name in names:
            storage.publish(storage.join(paths.results, name), storage.join(paths.final, name))
        # The replaced run may have had another number of shards.
        storage.remove_files(paths.final, ("predictions-", "rejects-"), keep=names)
        storage.write(posixpath.join(paths.final, SUMMARY_FILE), text)
    else:
        missing = [name for name in names if not storage.exists(paths.result(name))]
        if missing:
            remove_work(paths)
            raise TransientDataError(
                f"{paths.final}: {len(missing)} of {len(names)} files are gone, such as "
                f"{missing[0]}. Does another run write here? Start again when it has ended"
            )
        storage.write(storage.join(paths.results, SUMMARY_FILE), text)
        final = local_path(paths.final)
        os.makedirs(os.path.dirname(os.path.abspath(final)), exist_ok=True)
        if os.path.exists(final):
            storage.remove_folder(final)
        os.rename(paths.results, final)
    remove_work(paths)


def remove_work(paths: PredictionPaths) -> None:
    """Removes what is left of the unfinished run: its state first, which vouches for results."""
    for folder in (paths.state, paths.work):
        if is_remote(folder) or os.path.exists(folder):
            storage.remove_folder(folder)
