"""Work item for a scene: a range of its blocks, written into the listing."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

from components.raster.example import SPLITS
from components.raster.scaling import Scaling
from components.raster.scene.scene import BandFile, SceneSource
from components.raster.tiles.parts import PlanPart
from components.raster.tiles.tiling import TilePlan

_LEFT_OUT = "-"


@dataclass(frozen=True)
class ScenePart:
    """Half-open ranges of the rows and columns of a scene's tiles, and the split of each tile.

    Attributes:
        splits: a character for each tile of the part, by rows: the index of its split in `SPLITS`,
            or a dash if it is left out.
        truth: of the scene, from `NamedScenes`.
    """

    source: SceneSource
    rows: tuple[int, int]
    cols: tuple[int, int]
    splits: str
    truth: str | None = None

    @classmethod
    def of(
        cls,
        source: SceneSource,
        part: PlanPart,
        splits: Sequence[str | None],
        truth: str | None = None,
    ) -> "ScenePart":
        """Builds a part of a plan from its tiles' splits, None for those that are left out."""
        return cls(
            source,
            (part.rows.start, part.rows.stop),
            (part.cols.start, part.cols.stop),
            "".join(_LEFT_OUT if it is None else str(SPLITS.index(it)) for it in splits),
            truth,
        )

    @property
    def tiles(self) -> int:
        """Number of tiles that will be examples or rejects."""
        return len(self.splits) - self.splits.count(_LEFT_OUT)

    @property
    def uri(self) -> str:
        """Path of the scene's first file."""
        return self.source.files[0].path

    def part_of(self, plan: TilePlan) -> PlanPart:
        """Returns the same part of the scene's plan."""
        return PlanPart(plan, range(*self.rows), range(*self.cols))

    def split_by_key(self, plan: TilePlan) -> dict[str, str]:
        """Returns the split of each tile that has one, by the text of its key."""
        keys = self.part_of(plan).keys()
        pairs = zip(keys, self.splits, strict=True)
        return {str(key): SPLITS[int(place)] for key, place in pairs if place != _LEFT_OUT}

    def to_row(self) -> list[Any]:
        """Returns the part as plain JSON values."""
        return [asdict(self.source), self.rows, self.cols, self.splits, self.truth]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> "ScenePart":
        """Inverts `to_row`."""
        fields, rows, cols, splits, truth = row
        source = scene_of_fields(fields)
        return cls(source, tuple(rows), tuple(cols), splits, truth)


def scene_of_fields(fields: Mapping[str, Any]) -> SceneSource:
    """Builds a scene from the JSON of its `asdict`."""
    files = tuple(
        BandFile(
            file["path"],
            tuple(file["band_names"]),
            tuple(file["common_names"]),
            tuple(Scaling(*scaling) for scaling in file["scalings"]),
            tuple(file["aliases"]),
        )
        for file in fields["files"]
    )
    return SceneSource(**{**fields, "files": files})


def part_lines(parts: Sequence[ScenePart], shards: int) -> Iterator[bytes]:
    """Yields one line of JSON per shard: parts from distant places, with similar tile counts."""
    mixed = sorted(parts, key=_mixed)
    total = sum(part.tiles for part in mixed)
    rows: list[list[Any]] = []
    shard = taken = 0
    for place, part in enumerate(mixed):
        rows.append(part.to_row())
        taken += part.tiles
        others = len(mixed) - place - 1
        full = taken * shards >= (shard + 1) * total or others == shards - shard - 1
        if full and shard < shards - 1:
            yield _line(rows)
            rows, shard = [], shard + 1
    yield _line(rows)


def parts_of(line: bytes) -> list[ScenePart]:
    """Inverts `part_lines` for one shard."""
    return [ScenePart.from_row(row) for row in json.loads(line)]


def _line(rows: Sequence[Any]) -> bytes:
    return json.dumps(rows, separators=(",", ":")).encode() + b"\n"


def _mixed(part: ScenePart) -> bytes:
    name = f"{part.source.scene_id}\0{part.rows}\0{part.cols}"
    return blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).digest()
