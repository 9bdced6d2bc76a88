"""Names of objects below a model's base in a store, and the objects that belong to a push.

    <integer>/            a version: the model, provenance/, manifest.json and saved_model.pb last
    .push/<integer>-<id>/ a push's folder: its claim to a number, and its uploads so far

These functions work on a listing and do not access the store.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from components.raster.stores.object_store import StoredObject
from serving.contract.numbering import version_number
from serving.store.manifest import MANIFEST_FILE, Manifest
from serving.store.versions import MODEL_FILE

PUSHES = ".push"
CLAIM = "claim"
#: No push takes this long: older objects are leftovers of a killed push.
LEFTOVER_AGE = timedelta(days=1)

_PUSH_FOLDER = re.compile(rf"{re.escape(PUSHES)}/([0-9]+)-[0-9A-Za-z]+(?=/)")


Listing = Mapping[str, StoredObject]


def version_numbers(names: Collection[str]) -> set[int]:
    """Returns the versions that have any object."""
    heads = {name.split("/")[0] for name in names if "/" in name}
    return {number for number in map(version_number, heads) if number is not None}


def complete_versions(names: Collection[str]) -> tuple[int, ...]:
    """Returns the complete versions, oldest first.

    >>> complete_versions(["1/saved_model.pb", "1/manifest.json", "2/manifest.json"])
    (1,)
    """
    found = version_numbers(names)
    return tuple(sorted(n for n in found if set(completing_objects(n)) <= set(names)))


def completing_objects(number: int) -> tuple[str, str]:
    """Returns the names of the two objects that make a version complete."""
    return f"{number}/{MANIFEST_FILE}", model_file(number)


def model_file(number: int) -> str:
    """Returns the name of the object that makes a version visible to servers, written last."""
    return f"{number}/{MODEL_FILE}"


def foreign_versions(names: Collection[str]) -> tuple[int, ...]:
    """Returns versions with a model but no manifest, which another program wrote."""
    found = version_numbers(names)
    there = {n: [it in names for it in completing_objects(n)] for n in found}
    return tuple(sorted(n for n in found if there[n] == [False, True]))


def claimed_numbers(names: Collection[str]) -> list[int]:
    """Returns the number claimed by each push in progress."""
    folders = push_folders(names).items()
    return [number for folder, number in folders if f"{folder}/{CLAIM}" in names]


def push_folders(names: Collection[str]) -> dict[str, int]:
    """Returns the folders of pushes, in progress or killed, with the number that each claimed."""
    matches = filter(None, map(_PUSH_FOLDER.match, names))
    found = {match[0]: version_number(match[1]) for match in matches}
    return {folder: number for folder, number in found.items() if number is not None}


def objects_below(listing: Listing, folder: str) -> dict[str, StoredObject]:
    """Returns the objects in a folder, by their names within it."""
    head = f"{folder}/"
    return {name.removeprefix(head): it for name, it in listing.items() if name.startswith(head)}


def abandoned_push_folders(listing: Listing, now: datetime) -> Iterator[str]:
    """Yields the push folders without a write for `LEFTOVER_AGE`."""
    for folder in push_folders(listing):
        if all(it.changed < now - LEFTOVER_AGE for it in objects_below(listing, folder).values()):
            yield folder


def is_copy_of(objects: Listing, manifest: Manifest) -> bool:
    """Checks that a folder holds only objects that a manifest names."""
    sizes = {name: file.size_bytes for name, file in manifest.files.items()}
    return all(
        name == MANIFEST_FILE or sizes.get(name) == it.size_bytes for name, it in objects.items()
    )


def writing_order(name: str) -> tuple[int, str]:
    """Sort key of the write order: the manifest and then the model's file come last."""
    return ({MANIFEST_FILE: 1, MODEL_FILE: 2}.get(name, 0), name)
