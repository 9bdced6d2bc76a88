"""Names of objects below a model's base in a store, and the objects that belong to a push.

    <integer>/            a version: the model, provenance/, manifest.json and saved_model.pb last
    .push/<integer>-<id>/ a push's folder: its claim to a number, and its uploads so far

These functions work on a listing; none accesses the store.
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
#: No push takes this long: older objects are left over from a killed push.
LEFTOVER_AGE = timedelta(days=1)

_ROOM = re.compile(rf"{re.escape(PUSHES)}/([0-9]+)-[0-9A-Za-z]+(?=/)")


Listing = Mapping[str, StoredObject]


def numbered(names: Collection[str]) -> set[int]:
    """Returns the versions that have any object."""
    heads = {name.split("/")[0] for name in names if "/" in name}
    return {number for number in map(version_number, heads) if number is not None}


def whole(names: Collection[str]) -> tuple[int, ...]:
    """Returns the complete versions, oldest first."""
    return tuple(sorted(n for n in numbered(names) if set(proofs(n)) <= set(names)))


def proofs(number: int) -> tuple[str, str]:
    """Returns the names of the two objects that make a version complete."""
    return f"{number}/{MANIFEST_FILE}", model_file(number)


def model_file(number: int) -> str:
    """Returns the name of the object that servers take as a version's end, written last."""
    return f"{number}/{MODEL_FILE}"


def foreign(names: Collection[str]) -> tuple[int, ...]:
    """Returns versions with a model but no manifest: another program wrote them."""
    found = numbered(names)
    return tuple(sorted(n for n in found if [p in names for p in proofs(n)] == [False, True]))


def claims(names: Collection[str]) -> list[int]:
    """Returns the number that each push under way has claimed."""
    return [number for room, number in rooms(names).items() if f"{room}/{CLAIM}" in names]


def rooms(names: Collection[str]) -> dict[str, int]:
    """Returns the folders of pushes, under way or killed, with the number that each has claimed."""
    found = {match[0]: version_number(match[1]) for match in map(_ROOM.match, names) if match}
    return {room: number for room, number in found.items() if number is not None}


def below(listing: Listing, folder: str) -> dict[str, StoredObject]:
    """Returns the objects in a folder, by their names within it."""
    head = f"{folder}/"
    return {name.removeprefix(head): it for name, it in listing.items() if name.startswith(head)}


def abandoned_rooms(listing: Listing, now: datetime) -> Iterator[str]:
    """Yields the push folders without a write for `LEFTOVER_AGE`."""
    for room in rooms(listing):
        if all(it.changed < now - LEFTOVER_AGE for it in below(listing, room).values()):
            yield room


def is_copy_of(objects: Listing, manifest: Manifest) -> bool:
    """Checks that a folder holds only objects that a manifest names."""
    sizes = {name: file.size_bytes for name, file in manifest.files.items()}
    return all(
        name == MANIFEST_FILE or sizes.get(name) == it.size_bytes for name, it in objects.items()
    )


def writing_order(name: str) -> tuple[int, str]:
    """Sort key of the write order: the manifest and then the model's file come last."""
    return ({MANIFEST_FILE: 1, MODEL_FILE: 2}.get(name, 0), name)
