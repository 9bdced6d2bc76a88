"""Provenance of a pushed version, read back and checked against its digests."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.push.card.card import CARD_FILE, ModelCard
from components.push.provenance import OWN_DIGEST, PROVENANCE_FILE, document_digest
from components.raster.errors import DataError
from serving.store.version_store import VersionStore


@dataclass(frozen=True)
class PushedProvenance:
    """Provenance of one version.

    Attributes:
        document: the content of `provenance.json`.
        card: the model card; None for a version that was pushed without one.
        checked: files whose content has the digest in `provenance.json`; that file itself is
            checked against the digest of its own values.
        changed: files that are missing, or whose content differs.
    """

    document: Mapping[str, Any]
    card: ModelCard | None
    checked: tuple[str, ...]
    changed: tuple[str, ...]


def read_provenance(store: VersionStore, number: int) -> PushedProvenance:
    """Reads a version's provenance.

    Raises:
        DataError: there is no such version, or it has no provenance.
    """
    if not store.holds(number):
        known = ", ".join(map(str, store.numbers())) or "none"
        raise DataError(f"there is no version {number}; there are: {known}")
    text = store.provenance(number, PROVENANCE_FILE)
    if text is None:
        raise DataError(f"version {number} has no {PROVENANCE_FILE}: it was not pushed by a run")
    document = _parsed(text, number)
    digests: Mapping[str, str] = document.get("sha256", {})
    contents = {name: store.provenance(number, name) for name in digests}
    right = {name: _digest(content) == digests[name] for name, content in contents.items()}
    if OWN_DIGEST in document:  # earlier versions lack it
        right[PROVENANCE_FILE] = document_digest(document) == document[OWN_DIGEST]
    card = contents.get(CARD_FILE)
    return PushedProvenance(
        document=document,
        card=None if card is None else ModelCard.from_json(card, f"version {number}"),
        checked=tuple(name for name, is_right in right.items() if is_right),
        changed=tuple(name for name, is_right in right.items() if not is_right),
    )


def is_model_as_pushed(store: VersionStore, number: int, provenance: PushedProvenance) -> bool:
    """Compares the files of a version's model with the digest in its provenance.

    In a folder it reads all of them; in an object store it reads the manifest.
    """
    return store.digest(number) == provenance.document.get("model_sha256")


def _parsed(text: bytes, number: int) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise DataError(f"version {number}: {PROVENANCE_FILE} is damaged ({error})") from error


def _digest(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()
