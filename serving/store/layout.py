"""What the names of objects below a model's base in a store mean, and which of them are a push's.

    <integer>/            a version: the model, provenance/, manifest.json and saved_model.pb last
    .push/<integer>-<id>/ the room of a push: its claim to a number, and what it has uploaded so far

All of this is read off a listing; nothing here reaches the store.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from serving.contract.numbering import version_number
from serving.store.manifest import MANIFEST_FILE, Manifest
from serving.store.versions import MODEL_FILE

PUSHES = ".push"
CLAIM = "claim"
#: No push takes so long: what is older was left behind by one that was killed.
LEFTOVER_AGE = timedelta(days=1)

_ROOM = re.compile(rf"{re.escape(PUSHES)}/([0-9]+)-[0-9A-Za-z]+(?=/)")


@dataclass(frozen=True)
class StoredObject:
    """An object's size and when it was last written, by the store's own clock."""

    size_bytes: int
    changed: datetime


Listing = Mapping[str, StoredObject]


def numbered(names: Collection[str]) -> set[int]:
    """Versions of which there is anything at all."""
    heads = {name.split("/")[0] for name in names if "/" in name}
    return {number for number in map(version_number, heads) if number is not None}


def whole(names: Collection[str]) -> tuple[int, ...]:
    """The complete versions, oldest first."""
    return tuple(sorted(n for n in numbered(names) if set(proofs(n)) <= set(names)))


def proofs(number: int) -> tuple[str, str]:
    """The two objects that make a version complete."""
    return f"{number}/{MANIFEST_FILE}", model_file(number)


def model_file(number: int) -> str:
    """The object that a server takes for a version's end, written last."""
    return f"{number}/{MODEL_FILE}"


def foreign(names: Collection[str]) -> tuple[int, ...]:
    """Versions with a model but no manifest: another program than Skymill wrote them."""
    found = numbered(names)
    return tuple(sorted(n for n in found if [p in names for p in proofs(n)] == [False, True]))


def claims(names: Collection[str]) -> list[int]:
    """The number that each push under way has claimed."""
    return [number for room, number in rooms(names).items() if f"{room}/{CLAIM}" in names]


def rooms(names: Collection[str]) -> dict[str, int]:
    """The rooms of pushes, under way or killed, with the number that each is for."""
    found = {match[0]: version_number(match[1]) for match in map(_ROOM.match, names) if match}
    return {room: number for room, number in found.items() if number is not None}


def below(listing: Listing, folder: str) -> dict[str, StoredObject]:
    """The objects in a folder, by their names within it."""
    head = f"{folder}/"
    return {name.removeprefix(head): it for name, it in listing.items() if name.startswith(head)}


def abandoned_rooms(listing: Listing, now: datetime) -> Iterator[str]:
    """The rooms in which nothing was written for `LEFTOVER_AGE`."""
    for room in rooms(listing):
        if all(it.changed < now - LEFTOVER_AGE for it in below(listing, room).values()):
            yield room


def is_copy_of(objects: Listing, manifest: Manifest) -> bool:
    """Whether a folder holds part of what a manifest names, and nothing else."""
    sizes = {name: file.size_bytes for name, file in manifest.files.items()}
    return all(
        name == MANIFEST_FILE or sizes.get(name) == it.size_bytes for name, it in objects.items()
    )


def writing_order(name: str) -> tuple[int, str]:
    """The manifest, and after it the file that makes the version one, come last."""
    return ({MANIFEST_FILE: 1, MODEL_FILE: 2}.get(name, 0), name)
