"""Sidecar of a server: copies versions from an object store to the folder that it watches.

    python -m serving.store.sync s3://bucket/models/landcover /models/landcover [--once]

A version appears in the folder by one rename, after every file's digest is checked. If the process
stops at any instant, it leaves only whole versions and a hidden folder that the next look removes.
It needs no TensorFlow.
"""

import argparse
import logging
import shutil
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.raster.errors import SkymillError
from components.raster.full_disk import full_disk_as_error
from components.raster.process_exit import exit_despite_threads
from serving.store.version_store import VersionStore, version_store
from serving.store.versions import list_versions, staging_folder, sync_folder, to_retire

_logger = logging.getLogger(__name__)

#: After SIGTERM, a look that takes longer is abandoned; the next one cleans up.
_STOP_S = 1.0
_CUT_SHORT = (
    "the store's listing is incomplete: it lacks version {}, which exists. Nothing was changed"
)


@dataclass(frozen=True)
class SyncResult:
    """Result of one look: versions added and removed, and reasons why others were not added."""

    fetched: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    failed: tuple[str, ...] = ()


def sync_versions(store: VersionStore, folder: Path, keep: int = 1) -> SyncResult:
    """Copies the store's newest sound version to the folder and removes old ones.

    A version that is no longer in the store is removed too, so removing a bad version from the
    store rolls back the server. The store is first queried for that version itself: an incomplete
    listing changes nothing. The newest version in the folder that the store still has always stays,
    and an empty or unreachable store removes nothing.

    Args:
        store: source of the versions.
        folder: the folder that a server watches; created if absent. Only one process may write to
        it.
        keep: number of older versions to keep beside the newest.

    Raises:
        PushError: the store cannot be listed.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    offered = store.numbers()
    failed: list[str] = []
    for version in list_versions(folder):
        if version.number not in offered and store.holds(version.number):
            return SyncResult(failed=(_CUT_SHORT.format(version.number),))
    with staging_folder(folder) as staging:
        fetched = _fetch_newest(store, offered, folder, staging, failed)
        removed = _remove_old(folder, staging, set(offered), keep)
    return SyncResult(fetched, removed, tuple(failed))


def _fetch_newest(
    store: VersionStore, offered: Sequence[int], folder: Path, staging: Path, failed: list[str]
) -> tuple[int, ...]:
    """Fetches the newest version unless it is present; tries older ones if it is broken."""
    present = {version.number for version in list_versions(folder)}
    for number in sorted(offered, reverse=True):
        if number in present:
            return ()
        arrived, place = staging / str(number), folder / str(number)
        try:
            store.fetch(number, arrived)
        except SkymillError as error:
            failed.append(str(error))
            shutil.rmtree(arrived, ignore_errors=True)
            continue
        if place.exists():  # without its model's file: someone is copying it by hand
            place.rename(staging / f"incomplete-{number}")
        arrived.rename(place)
        sync_folder(folder)
        return (number,)
    return ()


def _remove_old(folder: Path, staging: Path, offered: set[int], keep: int) -> tuple[int, ...]:
    versions = {version.number: version.path for version in list_versions(folder)}
    sound = sorted(offered & versions.keys())
    if not sound:
        return ()
    going = to_retire(sound, keep, {sound[-1]}) | (versions.keys() - offered)
    for number in going:
        versions[number].rename(staging / f"old-{number}")
    return tuple(sorted(going))


def follow(
    store: VersionStore, folder: Path, keep: int, every_s: float, stop: threading.Event
) -> None:
    """Looks repeatedly until `stop` is set; logs failures and retries at the next look."""
    while True:
        _sync_once(store, folder, keep)
        if stop.wait(every_s):
            return


def _sync_once(store: VersionStore, folder: Path, keep: int) -> bool:
    """Looks once and logs the result; returns False if anything failed."""
    try:
        with full_disk_as_error({"FOLDER": str(folder)}):
            synced = sync_versions(store, folder, keep)
    except (SkymillError, OSError) as error:
        _logger.error("%s", error)
        return False
    for number in synced.fetched:
        _logger.info("version %d is in %s", number, folder)
    for number in synced.removed:
        _logger.info("version %d was removed from %s", number, folder)
    for reason in synced.failed:
        _logger.error("%s", reason)
    return not synced.failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Copy a model's newest complete version from a store into a folder, again and again.

    The exit code of --once is 0 if the store's newest version is in the folder, and 1 otherwise.
    """
    parser = argparse.ArgumentParser(prog="python -m serving.store.sync", description=main.__doc__)
    parser.add_argument("store", help="model in the store: s3://bucket/models/NAME, gs:// or az://")
    parser.add_argument("folder", type=Path, help="folder of versions that the server watches")
    parser.add_argument(
        "--keep", type=int, default=1, help="number of older versions to keep (default: 1)"
    )
    parser.add_argument(
        "--every", type=float, default=30, help="seconds between polls (default: 30)"
    )
    parser.add_argument("--once", action="store_true", help="poll once and end")
    options = parser.parse_args(arguments)
    if options.keep < 0 or options.every <= 0:
        parser.error("--keep must be 0 or more, and --every above 0")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        store = version_store(options.store)
    except SkymillError as error:
        parser.error(str(error))
    if options.once:
        return 0 if _sync_once(store, options.folder, options.keep) else 1
    return _follow_until_stopped(store, options.folder, options.keep, options.every)


def _follow_until_stopped(store: VersionStore, folder: Path, keep: int, every_s: float) -> int:
    """Returns exit code 0 after SIGTERM, even if a store hangs; 1 if following failed."""
    stop, signalled = threading.Event(), threading.Event()

    def run() -> None:
        try:
            follow(store, folder, keep, every_s, stop)
        finally:
            stop.set()

    def on_signal(*_: object) -> None:
        signalled.set()
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    follower = threading.Thread(target=run, name="follow", daemon=True)
    follower.start()
    stop.wait()
    follower.join(_STOP_S)
    return 0 if signalled.is_set() else 1


if __name__ == "__main__":
    exit_despite_threads(main())
