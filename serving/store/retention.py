"""Removal from a store: versions beyond the retention, and leftovers of killed pushes.

Other programs may write numbered folders to the same place, so only objects that certainly belong
to a push are removed.
"""

from collections.abc import Collection
from datetime import datetime

from components.raster.stores.object_store import ObjectStore, StorageError, delete_below
from serving.store import layout as layout
from serving.store.layout import Listing
from serving.store.manifest import MANIFEST_FILE, read_manifest
from serving.store.versions import MODEL_FILE, to_retire


def remove_leftovers(store: ObjectStore, found: Listing, now: datetime) -> None:
    """Removes the folders of killed pushes, and the objects copied from them.

    `now` is the time by the store's clock. Raises StorageError.
    """
    for folder in layout.abandoned_push_folders(found, now):
        _remove_half_copied(store, found, folder)
        delete_below(store, folder)


def retire(store: ObjectStore, keep: int, protected: Collection[int | None]) -> None:
    """Removes old versions by the rule of `serving.store.versions.to_retire`.

    Raises StorageError.
    """
    found = store.listing()
    versions = layout.complete_versions(found)
    going = to_retire(versions, keep, protected)
    for number in going:
        _delete_version(store, number)
    oldest = min(set(versions) - going, default=0)
    for number in layout.version_numbers(found) - set(versions):
        if number < oldest and f"{number}/{MANIFEST_FILE}" in found:  # partly removed earlier
            there = layout.objects_below(found, str(number))
            _remove_incomplete(store, number, there, str(number))


def _remove_half_copied(store: ObjectStore, found: Listing, folder: str) -> None:
    """Removes an incomplete version, if all of it certainly came from this push's folder."""
    if f"{folder}/{MANIFEST_FILE}" not in found:
        return  # the push had not begun to copy
    number = layout.push_folders(found)[folder]
    began = min(it.changed for it in layout.objects_below(found, folder).values())
    there = layout.objects_below(found, str(number))
    if there and all(it.changed >= began for it in there.values()):
        _remove_incomplete(store, number, there, folder)


def _remove_incomplete(store: ObjectStore, number: int, there: Listing, folder: str) -> None:
    """Removes a version without its model's file, if `folder`'s manifest names all its objects."""
    try:
        manifest = read_manifest(store, folder)
    except StorageError:
        return  # may belong to another program
    ours = manifest.model_version == number and layout.is_copy_of(there, manifest)
    complete = MODEL_FILE in there or store.find(layout.model_file(number)) is not None
    if ours and not complete:
        _delete_version(store, number)


def _delete_version(store: ObjectStore, number: int) -> None:
    """Deletes the model's file first, so that no server fetches a partial version, and the manifest
    last: if the process is killed, it still tells the next push which objects are a push's."""
    manifest = f"{number}/{MANIFEST_FILE}"
    store.delete(layout.model_file(number))
    for name in store.listing(str(number)).keys() - {manifest}:
        store.delete(name)
    store.delete(manifest)
