"""Unit that shares a split with an example: `grouping.json` beside the splits."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from pydantic import TypeAdapter

from components.raster.errors import DataError
from components.raster.spatial.blocks import block_name, blocks_of
from components.raster.spatial.rules import ByArea, ByBlock, ByDate, ByScene, SplitRule

GROUPING_FILE = "grouping.json"

_RULE: TypeAdapter[SplitRule | None] = TypeAdapter(SplitRule | None)


@dataclass(frozen=True)
class Grouping:
    """The groups of a dataset's examples.

    Attributes:
        rule: the rule of the splits.
        groups: the group of an image by its key, and that of a scene's tiles by the scene's id.
            Images and scenes without a group are left out.
    """

    rule: SplitRule | None = None
    groups: Mapping[str, str] = field(default_factory=dict)

    def of(self, key: str, scene: str | None, lonlat: tuple[float, float] | None) -> str | None:
        """Returns the block, scene or group with which an example shares its split.

        None for an example that was drawn alone. Splits by date or area draw no units: there it is
        the group named by the source, else (by date) the scene, else a block of ground, since
        neighbours resemble each other. An example's coordinates have 24 bits, a metre or less: a
        tile whose centre is that close to the edge of a block may be assigned to the next one.

        Args:
            key: of the example.
            scene: id of its scene, if it is a tile.
            lonlat: its centre in degrees, if known.
        """
        rule = self.rule
        if isinstance(rule, ByScene) and scene is not None:
            return scene
        if isinstance(rule, ByBlock) and (block := _block(lonlat, rule.block_m)) is not None:
            return block
        named = self.groups.get(key) or self.groups.get(scene or "")
        if isinstance(rule, ByDate):
            return named or scene or _block(lonlat, rule.block_m)
        if isinstance(rule, ByArea):
            return named or _block(lonlat, rule.block_m)
        return named or None


def _block(lonlat: tuple[float, float] | None, block_m: float) -> str | None:
    """Returns the name of the block around a place; None without one."""
    if lonlat is None or not all(map(math.isfinite, lonlat)):
        return None
    lons, lats = np.array([lonlat]).T
    rows, cols = blocks_of(lons, lats, block_m)
    return block_name((int(rows[0]), int(cols[0])), block_m)


def grouping_to_json(grouping: Grouping) -> str:
    """Returns the content of `grouping.json`."""
    members: dict[str, list[str]] = {}
    for name, group in grouping.groups.items():
        members.setdefault(group, []).append(name)
    rule = _RULE.dump_python(grouping.rule, mode="json")
    return json.dumps({"split_by": rule, "groups": members}, indent=1) + "\n"


def grouping_from_json(text: str, source: str) -> Grouping:
    """Inverts `grouping_to_json`; raises DataError, which names `source`, for any other text."""
    try:
        document = json.loads(text)
        groups = {name: group for group, names in document["groups"].items() for name in names}
        return Grouping(_RULE.validate_python(document["split_by"]), groups)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{source} cannot be read ({error}); ingest the data again.") from error
