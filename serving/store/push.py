"""Push of a model to an object store, as the next version.

A push uploads to its own folder, which may take minutes. Then the store copies the objects to the
version's name, which takes a moment: variables first, the manifest and the model's file last. A
server that watches `gs://` itself may see the version's name in that moment, fail to load it once,
and retry (TensorFlow Serving: a minute later).
"""

import logging
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from components.raster.stores.object_store import ObjectStore, StorageError, delete_below
from serving.store import layout as layout
from serving.store.layout import Listing
from serving.store.manifest import MANIFEST_FILE, Manifest, StoredFile
from serving.store.retention import remove_leftovers, retire
from serving.store.versions import (
    PROVENANCE_DIR,
    PushError,
    after_publishing,
    checked_model,
    checked_provenance,
    number_above,
    refuse_stale_baseline,
)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Push:
    """Number and folder of a push, and the objects that it has begun to copy to the version."""

    number: int
    folder: str
    copied: list[str] = field(default_factory=list)


def push_to_store(
    store: ObjectStore,
    src_dir: Path,
    *,
    expected_baseline: int | None,
    provenance: Mapping[str, bytes | Path],
    keep: int,
    served: int | None = None,
    not_served: Collection[int] = (),
) -> int:
    """Runs `serving.store.versions.push_version` on a store.

    Two pushes that end within the same second may both succeed: a store has no lock.

    Raises:
        PushError: `src_dir` is not a SavedModel, or the store cannot be reached.
        StaleBaselineError: another version became the newest or the served one meanwhile.
        PublishedError: the version is published, but a later step failed.
    """
    contents = _contents(src_dir, provenance)

    def check_baseline() -> Listing:
        found = store.listing()
        _refuse_cut_listing(store, found, expected_baseline)
        complete = layout.complete_versions(found)
        refuse_stale_baseline(complete, store.uri, expected_baseline, served, not_served)
        return found

    _warn_of_foreign_versions(store, check_baseline())
    with _claimed_number(store) as push:
        _upload(store, push, contents)
        _refuse_taken(store, check_baseline(), push.number)
        _publish(store, push, sorted([*contents, MANIFEST_FILE], key=layout.writing_order))
        with after_publishing(push.number, store.uri):
            retire(store, keep, {push.number, served, expected_baseline})
    return push.number


def is_complete(store: ObjectStore, number: int) -> bool:
    """Checks a version's own objects by their names, because a listing may be incomplete."""
    return all(store.find(name) is not None for name in layout.completing_objects(number))


def _contents(src_dir: Path, provenance: Mapping[str, bytes | Path]) -> dict[str, bytes | Path]:
    """Returns a version's files by relative name; raises PushError if they cannot be pushed."""
    contents: dict[str, bytes | Path] = {**checked_model(src_dir)}
    if MANIFEST_FILE in contents:
        raise PushError(
            f"{src_dir} has a file {MANIFEST_FILE}, a name that pushes to a store use: rename it."
        )
    checked = checked_provenance(provenance)
    return contents | {f"{PROVENANCE_DIR}/{path}": content for path, content in checked.items()}


def _upload(store: ObjectStore, push: _Push, contents: Mapping[str, bytes | Path]) -> None:
    """Uploads all files, the manifest last: without it nothing is copied to the version."""
    digests = {name: StoredFile.of(content) for name, content in contents.items()}
    for name, content in contents.items():
        store.write(f"{push.folder}/{name}", content)
    store.write(f"{push.folder}/{MANIFEST_FILE}", Manifest(push.number, digests).to_json())


def _refuse_cut_listing(store: ObjectStore, found: Listing, number: int | None) -> None:
    if number is None or number in layout.complete_versions(found):
        return
    if is_complete(store, number):
        raise StorageError(
            f"{store.uri}: the store's listing is incomplete: it lacks version {number}, which "
            "exists. Push again"
        )


def _refuse_taken(store: ObjectStore, found: Listing, number: int) -> None:
    if number in layout.version_numbers(found) or store.find(layout.model_file(number)):
        raise PushError(
            f"{store.uri}/{number} was written by another program during this push; nothing was "
            "published. Push again."
        )


def _warn_of_foreign_versions(store: ObjectStore, found: Listing) -> None:
    for number in layout.foreign_versions(found):
        _logger.warning(
            "%s/%d has no %s: another program wrote it. It stays, and no candidate is compared "
            "with it",
            store.uri,
            number,
            MANIFEST_FILE,
        )


def _publish(store: ObjectStore, push: _Push, names: list[str]) -> None:
    try:
        for name in names:
            push.copied.append(name)
            store.copy(f"{push.folder}/{name}", f"{push.number}/{name}")
    except StorageError as error:
        if _is_published(store, push.number, error):  # only the store's response was lost
            with after_publishing(push.number, store.uri):
                raise
        raise


def _is_published(store: ObjectStore, number: int, error: StorageError) -> bool:
    try:
        return is_complete(store, number)
    except StorageError:
        raise StorageError(
            f"{error}. It is unknown whether version {number} is published: check whether "
            f"{store.uri}/{layout.model_file(number)} exists before you push again"
        ) from error


@contextmanager
def _claimed_number(store: ObjectStore) -> Iterator[_Push]:
    """Claims an unused number and yields this push's folder, which is removed afterwards."""
    found = store.listing()
    used = [*layout.version_numbers(found), *layout.claimed_numbers(found)]
    number = number_above(used, store.uri)
    push = _Push(number, f"{layout.PUSHES}/{number}-{uuid.uuid4().hex}")
    claim = f"{push.folder}/{layout.CLAIM}"
    try:
        store.write(claim, b"")
        found = store.listing()
        claims = layout.claimed_numbers(found).count(number)
        if claims > 1 or number in layout.version_numbers(found):
            raise PushError(
                f"Another push to {store.uri} began at the same moment; run this one again."
            )
        if claim in found:  # its time is by the store's own clock
            remove_leftovers(store, found, found[claim].changed)
        yield push
    finally:
        with suppress(StorageError):  # a later push does it
            _clear(store, push)


def _clear(store: ObjectStore, push: _Push) -> None:
    """Removes this push's objects; its folder last, since it proves that the copies are its own."""
    if push.copied and not is_complete(store, push.number):
        if layout.objects_below(store.listing(), str(push.number)).keys() <= set(push.copied):
            delete_below(store, str(push.number))
        else:  # another program began to write there too
            for name in push.copied:
                store.delete(f"{push.number}/{name}")
    delete_below(store, push.folder)
