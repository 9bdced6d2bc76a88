"""Version folder `<model_dir>/<name>/<integer>/` that a server watches and a push writes.

A version is complete when its `saved_model.pb` exists, so that file is written last. A push copies
into a hidden folder beside the versions and renames it into place, so a watcher sees all of a
version or nothing. The design depends on atomic renames, so it is for local (or locally mounted)
file systems only. For object stores see `serving.store.bucket_versions`.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from components.raster.errors import DataError, SkymillError
from serving.contract.numbering import LARGEST_VERSION, looks_like_a_version, version_number
from serving.store.model_files import ModelFolderError, model_entries, model_files

MODEL_FILE = "saved_model.pb"
PROVENANCE_DIR = "provenance"
#: File in it: the model as a STAC item.
STAC_FILE = "stac_item.json"

_STAGING_PREFIX = ".push-"
_STAGING_LOCK = "lock"
_LOCK_FILE = ".push.lock"


class PushError(SkymillError):
    """A model cannot be pushed as requested; only PublishedError means that it was published."""


class StaleBaselineError(PushError):
    """The candidate was compared with a version that is no longer served."""

    lasting = True


class PublishedError(PushError):
    """A version was published, but a later step of the push failed."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True, order=True)
class Version:
    """A complete version: its number and its folder (`7` and `007` are the same number)."""

    number: int
    path: Path


def list_versions(model_base: Path) -> tuple[Version, ...]:
    """Lists the complete versions under `model_base`, oldest first; none without such a folder.

    As in TensorFlow Serving, a version is a folder whose name is a non-negative int64. One without
    `saved_model.pb` is incomplete and left out. Of two folders with the same number, the one
    without leading zeros counts.
    """
    return complete_versions(numbered_folders(model_base))


def complete_versions(folders: Iterable[Version]) -> tuple[Version, ...]:
    """Returns the complete versions, oldest first, one for each number."""
    found: dict[int, Version] = {}
    for version in folders:
        if is_complete(version.path):
            found.setdefault(version.number, version)
    return tuple(sorted(found.values()))


def numbered_folders(model_base: Path) -> list[Version]:
    """Lists all folders named like versions, complete or not, without opening them."""
    if not model_base.is_dir():
        return []
    numbers = ((version_number(entry.name), entry) for entry in model_base.iterdir())
    found = [Version(number, entry) for number, entry in numbers if number is not None]
    return sorted(found, key=lambda version: (version.number, len(version.path.name)))


def ignored_folders(model_base: Path) -> dict[str, str]:
    """Returns names under `model_base` that look like versions, and why they are not."""
    if not model_base.is_dir():
        return {}
    ignored = {
        entry.name: f"not a version number: 0 to {LARGEST_VERSION}, in the digits 0 to 9"
        for entry in model_base.iterdir()
        if version_number(entry.name) is None and looks_like_a_version(entry.name)
    }
    taken: dict[int, str] = {}
    for version in numbered_folders(model_base):
        name = version.path.name
        if (other := taken.setdefault(version.number, name)) != name:
            ignored[name] = f"the same version as {other}"
    return ignored


def newest_version(model_base: Path) -> Version | None:
    """Returns the complete version with the highest number, or None."""
    versions = list_versions(model_base)
    return versions[-1] if versions else None


def model_folder(path: Path, version: int | None = None) -> tuple[Path, int | None]:
    """Returns the folder of a model and its version.

    Args:
        path: a folder of versions, or a SavedModel, which has no version.
        version: within a folder of versions; None: the newest.

    Raises:
        DataError: there is none.
    """
    if (path / MODEL_FILE).is_file():
        return path, None
    found = {it.number: it for it in list_versions(path)}
    if not found:
        raise DataError(
            f"{path} holds neither a model nor versions of one. Name a folder of pushed versions "
            "(--model-base), or a SavedModel."
        )
    number = max(found) if version is None else version
    if number not in found:
        there = ", ".join(map(str, found))
        raise DataError(f"{path} has no version {number}; it has {there}")
    return found[number].path, number


def is_complete(version_dir: Path) -> bool:
    """Checks that `version_dir` holds a model that can be loaded."""
    return (version_dir / MODEL_FILE).is_file()


def next_version(model_base: Path) -> int:
    """Returns the next push's number: above every number in use or used before, complete or not.

    Raises PushError if none is left.
    """
    in_use = [version.number for version in numbered_folders(model_base)]
    return number_above([*in_use, _last_pushed(model_base)], str(model_base))


def number_above(used: Iterable[int], model_base: str) -> int:
    """Returns the next version's number; raises PushError if the largest is in use."""
    largest = max(used, default=0)
    if largest >= LARGEST_VERSION:
        raise PushError(
            f"{model_base} has a version {largest}, the largest possible number: give that folder "
            "a smaller one, or remove it."
        )
    return largest + 1


def push_version(
    src_dir: Path,
    model_base: Path,
    *,
    expected_baseline: int | None,
    provenance: Mapping[str, bytes | Path] | None = None,
    keep: int = 2,
    served: int | None = None,
    not_served: Collection[int] = (),
) -> int:
    """Publishes the SavedModel in `src_dir` as a new version and returns its number.

    Args:
        src_dir: the SavedModel; all `serving.store.model_files.model_entries` are copied.
        model_base: `<model_dir>/<name>`; created if absent.
        expected_baseline: the version that the candidate was compared with; None if there was
            none. The push is refused unless it is still the newest one.
        provenance: files for the version's `provenance/` folder, by relative name, as bytes or as a
            file to copy.
        keep: number of older versions to keep beside the new one. The baseline and the served
            version always stay.
        served: the version that a server reports as served, if one was queried.
        not_served: versions newer than the baseline that are known not to be served (broken, or
            rolled back), so they do not make the baseline stale.

    Raises:
        PushError: `src_dir` is not a SavedModel or holds links out of it, or an argument is
            out of range.
        StaleBaselineError: another version became the newest or the served one meanwhile.
        PublishedError: the version is published, but a later step (syncing its name to disk,
            removing old versions) failed.
    """
    files = checked_provenance(provenance or {})
    checked_model(src_dir)
    if keep < 0:
        raise PushError(f"keep is {keep}: the number of older versions to keep must be 0 or more.")
    model_base.mkdir(parents=True, exist_ok=True)

    def check_baseline() -> None:
        numbers = [version.number for version in list_versions(model_base)]
        refuse_stale_baseline(numbers, str(model_base), expected_baseline, served, not_served)

    check_baseline()  # before the copy, which may take long, and again before publishing
    with staging_folder(model_base) as staging:
        candidate = staging / "version"
        copy_model(src_dir, candidate, files)
        with locked(model_base):
            check_baseline()
            number = _claim(candidate, model_base)
            with after_publishing(number, str(model_base)):
                _note_last_pushed(model_base, number)
                sync_folder(model_base)
                protected = {number, served, expected_baseline}
                _retire(model_base, staging, keep=keep, protected=protected)
    return number


@contextmanager
def after_publishing(number: int, model_base: str) -> Iterator[None]:
    """Turns errors in the block into PublishedError, since servers already see the version."""
    try:
        yield
    except (OSError, SkymillError) as error:
        raise PublishedError(
            f"Version {number} is published in {model_base} and will be served, but a later step "
            f"failed: {error}. Do not push the model again; the next push tidies up.",
            number,
        ) from error


def checked_model(src_dir: Path) -> dict[str, Path]:
    """Returns a SavedModel's files by relative name; raises PushError if it cannot be pushed."""
    if not is_complete(src_dir):
        raise PushError(f"{src_dir} holds no {MODEL_FILE}: give the folder of a SavedModel.")
    try:
        return model_files(src_dir)
    except ModelFolderError as error:
        raise PushError(f"{src_dir} cannot be pushed: {error}") from error


def refuse_stale_baseline(
    numbers: Sequence[int],
    model_base: str,
    expected: int | None,
    served: int | None,
    not_served: Collection[int],
) -> None:
    """Raises StaleBaselineError unless `expected` is the newest complete version.

    For the other arguments see `push_version`.
    """
    newest = max((number for number in numbers if number not in not_served), default=None)
    if served is not None and served != expected:
        found = f"version {served} is being served"
    elif newest != expected:
        found = "there is no version" if newest is None else f"version {newest} is the newest"
    else:
        return
    compared = "no baseline" if expected is None else f"version {expected}"
    raise StaleBaselineError(
        f"The candidate was compared with {compared}, but in {model_base} {found} now. "
        "Evaluate it against that one and push again."
    )


def checked_provenance(files: Mapping[str, bytes | Path]) -> Mapping[PurePosixPath, bytes | Path]:
    """Returns the files by their paths; raises PushError for a name that leaves the folder."""
    checked: dict[PurePosixPath, bytes | Path] = {}
    for name, content in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise PushError(
                f"Provenance file {name!r}: give a relative name inside {PROVENANCE_DIR}/."
            )
        checked[path] = content
    return checked


def copy_model(
    src_dir: Path,
    dst_dir: Path,
    provenance: Mapping[PurePosixPath, bytes | Path] = MappingProxyType({}),
) -> None:
    """Copies with fsync, and writes the file that makes the version complete last.

    Raises ModelFolderError as in `serving.store.model_files.model_entries`.
    """
    dst_dir.mkdir()
    for name, src in model_entries(src_dir).items():
        if src.is_dir():
            (dst_dir / name).mkdir()
        elif name != MODEL_FILE:
            write_durably(dst_dir / name, src)
    for path, content in provenance.items():
        write_durably(dst_dir / PROVENANCE_DIR / path, content)
    write_durably(dst_dir / MODEL_FILE, src_dir / MODEL_FILE)
    for folder in [d for d in dst_dir.rglob("*") if d.is_dir()] + [dst_dir]:
        sync_folder(folder)


def write_durably(dst: Path, content: bytes | Path | Iterable[bytes]) -> None:
    """Writes a file and the folders above it so that they survive a power loss."""
    dst.parent.mkdir(parents=True, exist_ok=True)
    with dst.open("wb") as out:
        if isinstance(content, bytes):
            out.write(content)
        elif not isinstance(content, Path):
            out.writelines(content)
        else:
            with content.open("rb") as source:
                shutil.copyfileobj(source, out, 1 << 20)
        out.flush()
        os.fsync(out.fileno())


def sync_folder(folder: Path) -> None:
    """Syncs a folder so that the names in it survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _claim(candidate: Path, model_base: Path) -> int:
    """Renames the candidate to the next free number.

    The lock already excludes other pushes. If a file system ignores locks, the rename fails on a
    number that was taken meanwhile, and the next one is tried.
    """
    number = next_version(model_base)
    while (model_base / str(number)).exists() or not _renamed(candidate, model_base / str(number)):
        number += 1
    return number


def _note_last_pushed(model_base: Path, number: int) -> None:
    (model_base / _LOCK_FILE).write_text(f"{number}\n")


def _renamed(src: Path, dst: Path) -> bool:
    try:
        src.rename(dst)
    except OSError:
        if dst.exists():
            return False
        raise
    return True


def _last_pushed(model_base: Path) -> int:
    """Returns the last push's number; it is not used again even if the version was removed."""
    try:
        return version_number((model_base / _LOCK_FILE).read_text().strip()) or 0
    except (FileNotFoundError, ValueError):
        return 0


def _retire(model_base: Path, staging: Path, *, keep: int, protected: set[int | None]) -> None:
    """Moves old versions into the staging folder, each atomically; they are deleted with it."""
    complete = [v for v in numbered_folders(model_base) if is_complete(v.path)]
    old = to_retire([version.number for version in list_versions(model_base)], keep, protected)
    for version in complete:
        if version.number in old:
            version.path.rename(staging / f"old-{version.path.name}")


def to_retire(numbers: Sequence[int], keep: int, protected: Collection[int | None]) -> set[int]:
    """Returns the versions to remove: those beyond `keep` older ones, except protected ones."""
    return set(sorted(numbers)[: -(keep + 1)]) - set(protected)


@contextmanager
def locked(model_base: Path) -> Iterator[None]:
    """Excludes other pushes to `model_base`, in this process and in others."""
    with (model_base / _LOCK_FILE).open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def staging_folder(model_base: Path) -> Iterator[Path]:
    """Yields a hidden folder of this push on the versions' file system, and removes it afterwards.

    It is locked during the push, so that the next push can distinguish leftovers of a crashed push
    from a push in progress.
    """
    staging = model_base / f"{_STAGING_PREFIX}{uuid.uuid4().hex}"
    with locked(model_base):
        _remove_leftovers(model_base)
        staging.mkdir()
        alive = (staging / _STAGING_LOCK).open("w")
        fcntl.flock(alive, fcntl.LOCK_EX)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        alive.close()


def _remove_leftovers(model_base: Path) -> None:
    for staging in model_base.glob(f"{_STAGING_PREFIX}*"):
        if staging.is_dir() and not _is_alive(staging):
            shutil.rmtree(staging, ignore_errors=True)


def _is_alive(staging: Path) -> bool:
    with suppress(FileNotFoundError), (staging / _STAGING_LOCK).open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
