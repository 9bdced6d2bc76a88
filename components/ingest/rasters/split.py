"""Splits of tiles, by their location, before a pixel is read."""

from collections.abc import Sequence

from components.ingest.records.reject import Reject, reject_of_label
from components.ingest.records.settings import Settings
from components.raster.errors import ConfigError
from components.raster.labels.vectors import LabelSet, VectorLabels, read_labels
from components.raster.spatial.distance import LeakError, refuse_leaks, train_to_test
from components.raster.spatial.places import TileFootprints
from components.raster.spatial.rules import (
    Assignment,
    ByArea,
    ByGroup,
    ByScene,
    ByTile,
    LeftOut,
    SplitRule,
    assign,
    in_degrees,
)
from components.raster.tiles.tiling import Tiling

Split = str | LeftOut


def splits_of(
    places: TileFootprints,
    given: Sequence[str | None],
    settings: Settings,
    tiling: Tiling | None = None,
) -> list[Split]:
    """Returns the split of every tile, or why it has none; given splits take precedence.

    Args:
        places: the tiles.
        given: for each tile, the split that the source gives.
        settings: rule and shares.
        tiling: of scenes; None for chips, which are files of unknown scenes.

    Raises:
        LeakError: single tiles would be drawn although some overlap or touch.
        ConfigError: the rule cannot decide for this source, or leaves out every tile.
    """
    if tiling is None and isinstance(settings.split_by, ByScene):
        raise ConfigError(
            "ingest.split_by: a chip does not name its scene. Split by block, or by group with "
            "source.group_pattern or a manifest's column."
        )
    found: list[Split | None] = list(given)
    free = [index for index, split in enumerate(given) if split is None]
    for rule, members in _rules(places, free, settings.split_by):
        assignment = _assigned(places.take(members), rule, settings)
        for index, split, reason in zip(
            members, assignment.splits, assignment.reasons, strict=True
        ):
            found[index] = split if reason is None else reason
    decided = [split for split in found if split is not None]
    if tiling is None or tiling.overlap == "all":
        return decided
    return _apart_but_in_train(places, decided, tiling)


def train_to_test_m(places: TileFootprints, splits: Sequence[Split]) -> float | None:
    """Returns the metres between the nearest tiles of the train and the test split, 0 if they meet.

    None if one of the two has no georeferenced tile.
    """
    distance_m = train_to_test(places, splits).distance_m
    return None if distance_m == float("inf") else distance_m


def _apart_but_in_train(
    places: TileFootprints, splits: Sequence[Split], tiling: Tiling
) -> list[Split]:
    """Leaves out tiles that overlap others, except those of the train split."""
    return [
        split
        if isinstance(split, LeftOut) or split == "train" or tiling.is_disjoint(key.window)
        else LeftOut.OVERLAPS
        for key, split in zip(places.keys, splits, strict=True)
    ]


def _rules(
    places: TileFootprints, free: Sequence[int], rule: SplitRule | None
) -> list[tuple[SplitRule, list[int]]]:
    """Returns the rule for each tile; without a configured one, groups decide if there are any."""
    if rule is not None:
        chosen = [(rule, list(free))]
    else:
        grouped = [index for index in free if places.groups[index] is not None]
        single = [index for index in free if places.groups[index] is None]
        chosen = [(ByGroup(), grouped), (ByTile(), single)]
    return [(one, members) for one, members in chosen if members]


def _assigned(places: TileFootprints, rule: SplitRule, settings: Settings) -> Assignment:
    if isinstance(rule, ByTile):
        try:
            refuse_leaks(places, insist=rule.insist)
        except LeakError as error:
            raise LeakError(
                f"{error} That is ingest.split_by: {{by: block, block_m: 10000}}, or "
                "{by: tile, insist: true}."
            ) from error
    return assign(places, rule, settings.split, areas=_areas(rule))


def rejected_areas(rule: SplitRule | None) -> list[Reject]:
    """Returns rejects for unusable areas of a split by area; empty for other rules."""
    areas = _areas(rule)
    return [] if areas is None else [reject_of_label(reject) for reject in areas.rejects]


def _areas(rule: SplitRule | None) -> LabelSet | None:
    if not isinstance(rule, ByArea):
        return None
    return in_degrees(
        read_labels(VectorLabels(path=rule.path, layer=rule.layer, class_field=rule.field))
    )
