"""Units of a source (an image, or a scene with all its tiles), and the state of their files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_input
from components.ingest.records.family import FingerprintInput
from components.ingest.source_state import file_states
from components.ingest.sources import family_of
from components.raster.fingerprint import fingerprint_of
from pipelines.prediction.table import escaped


@dataclass(frozen=True, eq=False)
class Units:
    """Units of a source in the order of their entries in its fingerprint.

    Attributes:
        names: key of each image, or id of each scene; escaped.
        places: addresses of the files of each.
        covered: what the fingerprint covers: the units first, and then what they share.
    """

    names: Sequence[str]
    places: Sequence[Sequence[str]]
    covered: FingerprintInput

    def states(self) -> tuple[dict[str, str], str]:
        """Looks at the files; returns the state of each unit by name, and that of what they share.

        Two looks that return the same state saw the same content. No file is read.
        """
        found = file_states(list(self.covered.files()))
        entries = iter(self.covered.entries(lambda uris: map(found.__getitem__, uris)))
        own = zip(self.names, self.places, islice(entries, len(self.names)), strict=True)
        states = {name: _digest((*places, *entry)) for name, places, entry in own}
        shared = [it for it in entries if it[0] != "reject"]  # which no other unit depends on
        return states, fingerprint_of(shared)


def units_of(reading: IngestConfig, found: Any) -> Units:
    """Returns the units that a source's family has found."""
    scenes = family_of(reading.source).whole_scenes(found).scenes
    names = [escaped(scene.scene_id) for scene in scenes]
    places = [[file.path for file in scene.files] for scene in scenes]
    return Units(names, places, fingerprint_input(reading.source, None, found))


def unit_of(key: str, *, is_tile: bool) -> str:
    """Returns the unit of an answer by its key: an image, or the scene of a tile.

    >>> unit_of("field@0,0,8x8", is_tile=True)
    'field'
    """
    return key.rpartition("@")[0] if is_tile else key


def _digest(entry: Sequence[object]) -> str:
    return sha256(json.dumps(list(entry)).encode()).hexdigest()[:32]
