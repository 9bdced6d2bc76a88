"""Split report: counts, classes, distances and leaks, for people and for gates."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from components.raster.example import SPLITS
from components.raster.spatial.distance import Contacts, Nearest, contacts, train_to_test
from components.raster.spatial.places import TileFootprints
from components.raster.spatial.rules import Assignment, LeftOut


@dataclass(frozen=True)
class SplitReport:
    """Properties of a split.

    Attributes:
        counts: tiles by split.
        classes: for each class, tiles by split; empty before labels are known.
        left_out: tiles in no split, by reason.
        train_to_test: the nearest tiles of these two splits.
        leaks: pairs of tiles of different splits that overlap or touch.
    """

    counts: dict[str, int]
    classes: dict[str, dict[str, int]]
    left_out: dict[LeftOut, int]
    train_to_test: Nearest
    leaks: Contacts

    def absent(self) -> list[tuple[str, str]]:
        """Lists (class, split) pairs without a single tile."""
        return [
            (name, split)
            for name, row in sorted(self.classes.items())
            for split in SPLITS
            if not row.get(split)
        ]

    def text(self) -> str:
        """Formats a table and the distances, for a terminal."""
        width = max([len(name) for name in self.classes] + [len("tiles")])
        lines = [" " * width + "".join(f"{split:>9}" for split in SPLITS)]
        for name, row in [("tiles", self.counts), *sorted(self.classes.items())]:
            lines.append(f"{name:{width}}" + "".join(f"{row.get(s, 0):>9}" for s in SPLITS))
        for reason, count in sorted(self.left_out.items()):
            lines.append(f"{count} tiles are in no split: {reason}")
        for name, split in self.absent():
            lines.append(f"{name} is absent from {split}")
        lines.append(_distance_text(self.train_to_test))
        if self.leaks:
            lines.append(
                f"{self.leaks.overlapping} pairs of tiles of different splits share ground and "
                f"{self.leaks.touching} touch: accuracy will be overstated"
            )
        return "\n".join(lines)


def split_report(
    places: TileFootprints, assignment: Assignment, classes: Sequence[str | None] | None = None
) -> SplitReport:
    """Reports on an assignment; classes, where known, are those of the tiles in order.

    >>> import numpy as np
    >>> from components.raster.tiles.key import TileKey
    >>> keys = tuple(TileKey.parse(f"north@0,{col},64x64") for col in (0, 64))
    >>> nowhere = np.full((2, 2), np.nan), np.full((2, 4, 2), np.nan)
    >>> places = TileFootprints(keys, *nowhere, (None, None), (None, None))
    >>> assignment = Assignment(("train", "test"), (None, None))
    >>> found = split_report(places, assignment, ["field", "water"])
    >>> found.counts, found.absent()[0]
    ({'train': 1, 'test': 1}, ('field', 'eval'))
    """
    by_class: dict[str, Counter[str]] = {}
    for name, split in zip(classes or (), assignment.splits, strict=bool(classes)):
        if name is not None and split is not None:
            by_class.setdefault(name, Counter())[split] += 1
    return SplitReport(
        counts=dict(Counter(split for split in assignment.splits if split is not None)),
        classes={name: dict(counts) for name, counts in by_class.items()},
        left_out=assignment.left_out,
        train_to_test=train_to_test(places, assignment.splits),
        leaks=contacts(places, assignment.splits),
    )


def _distance_text(nearest: Nearest) -> str:
    if nearest.distance_m == float("inf"):
        return "train and test have no distance: one of them has no tile on a map"
    return (
        f"nearest train and test tiles: {nearest.distance_m:,.0f} m "
        f"({nearest.first} and {nearest.second})"
    )
