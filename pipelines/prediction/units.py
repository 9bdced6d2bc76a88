"""Units of a source (an image, or a scene with all its tiles), and the state of their files."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_input
from components.ingest.records.family import FingerprintInput
from components.ingest.source_state import look
from components.ingest.sources import family_of
from components.raster.fingerprint import fingerprint_of
from pipelines.prediction.table import escaped


@dataclass(frozen=True, eq=False)
class Units:
    """Units of a source in the order of their entries in its fingerprint.

    Attributes:
        names: key of each image, or id of each scene; escaped.
        places: addresses of the files of each unit.
        covered: input of the fingerprint: the units first, then what they share.
    """

    names: Sequence[str]
    places: Sequence[Sequence[str]]
    covered: FingerprintInput

    def states(self) -> "States":
        """Returns the states by a look at the files, without reading them."""
        seen = look(list(self.covered.files()))
        own, rest = self._entered({uri: stamp.state for uri, stamp in seen.items()})
        token = sha256("\n".join((*sorted(own.values()), fingerprint_of(rest))).encode())
        if not all(stamp.is_proof for stamp in seen.values()):
            never = uuid.uuid4().hex
            own, rest = self._entered(
                {uri: stamp.state if stamp.is_proof else never for uri, stamp in seen.items()}
            )
        shared = [it for it in rest if it[0] != "reject"]  # no other unit depends on a reject
        return States(own, fingerprint_of(shared), token.hexdigest())

    def _entered(
        self, state_of: Mapping[str, str]
    ) -> tuple[dict[str, str], list[Sequence[object]]]:
        """Returns a digest of each unit by name, and the other entries."""
        entries = iter(self.covered.entries(lambda uris: map(state_of.__getitem__, uris)))
        own = zip(self.names, self.places, islice(entries, len(self.names)), strict=True)
        digests = {name: _digest((*places, *entry)) for name, places, entry in own}
        return digests, list(entries)


class States(NamedTuple):
    """States of all units, found by one look at their files.

    Attributes:
        own: state of each unit by name. Equal states of two looks prove equal content.
        shared: state of what the units share.
        token: changes whenever anything may have changed, and only then.
    """

    own: dict[str, str]
    shared: str
    token: str


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
