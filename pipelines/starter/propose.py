"""Inspects a folder of images and proposes a configuration that runs."""

import math
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median_low
from typing import Any, TypeVar

import yaml
from PIL import Image

from components.evaluation.tasks.registry import evaluated_task
from components.ingest.config import SourceConfig
from components.ingest.listing.config import ManifestColumns
from components.ingest.listing.folders import list_files
from components.ingest.listing.manifest import BadRow, Row, read_rows
from components.ingest.photographs.config import (
    FoldersSource,
    ManifestSource,
    MaskedSource,
)
from components.ingest.rasters.chips.config import ChipsSource
from components.ingest.sources import family_of
from components.raster.band_names import position_of
from components.raster.errors import DataError
from components.raster.location import is_remote
from components.raster.task import ONE_OF_SEVERAL, WITHOUT_CLASSES
from pipelines.starter.chips import ChipTraits, chip_traits
from pipelines.starter.masks import folder_pair, legend_of
from pipelines.starter.scenes import SceneProposal, SceneTraits, propose_scenes

_TEMPLATE = """\
# Written by `skymill init`. Run it with: skymill run {path}
# Every key, its default and its meaning: skymill config json-schema
name: {name}
workspace: {name}-runs  # runs, artifacts, lineage; relative to this file

ingest:
  source:{source}
  image:  # how an image of any shape meets the model
    height_px: {side}
    width_px: {side}
    fit: stretch  # or pad, or crop{bands}{classes}
  split: {{train: 0.7, eval: 0.15, test: 0.15}}  # {split}
  max_reject_fraction: 0.05  # more bad files than this stop the run

schema:
  home: {name}-schema.pbtxt  # accept what a run inferred with: skymill schema accept

train:
  model: {{kind: small_cnn}}  # or {{kind: backbone, name: MobileNetV2, weights: imagenet}}
  epochs: {epochs}

evaluation:
  slices: [{slices}]
  thresholds:
    - {{metric: {metric}, at_least: {floor}}}  # {why}
    - {{metric: {metric}, change: {{at_least: -0.02}}}}  # against the version being served
  allow: [missing_baseline]  # the first run has none

push:
  model_dir: {name}-models  # TensorFlow Serving's model base path is {name}-models/{name}
  keep: 5
"""

_MANIFESTS = ("manifest.csv", "manifest.jsonl", "manifest.parquet")
_NAMES = {
    "uri": ("uri", "path", "file", "filename", "image"),
    "label": ("label", "class", "category"),
    "labels": ("labels", "classes", "tags"),
    "split": ("split", "subset"),
    "group": ("group", "scene", "scene_id"),
}
#: Columns of truth other than classes, used where no column names classes.
_OTHER_TRUTH = {"mask": ("mask", "mask_path", "mask_uri"), "number": ("number", "value", "target")}
_TRUTH = ("label", "labels", *_OTHER_TRUTH)
_MOST_SLICE_VALUES = 20
_SAMPLED = 50
_LEAST_IMAGES = 5
_T = TypeVar("_T")


@dataclass(frozen=True)
class Proposal:
    """Findings in a folder, and the settings that follow from them.

    Attributes:
        images: images that the source names, readable or not.
        classes: the sorted names of the classes that can be learnt; empty for numbers.
        rare: classes with too few images, usually misspellings.
        side_px: height and width of the model's input.
        scenes: the scenes and their labels, if there are scenes.
        counts: images of each class.
    """

    source: SourceConfig
    images: int
    classes: tuple[str, ...]
    rare: tuple[str, ...]
    side_px: int
    chips: ChipTraits | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    scenes: SceneProposal | None = None

    @property
    def largest(self) -> str:
        """Class with the most images, the first by name of several."""
        return max(self.classes, key=lambda name: self.counts.get(name, 0))

    @property
    def largest_share(self) -> float:
        """Share of the largest class: the accuracy of always predicting it."""
        return self.counts.get(self.largest, 0) / (sum(self.counts.values()) or 1)

    @property
    def slices(self) -> tuple[str, ...]:
        """Slice columns of a manifest; empty for class folders."""
        return self.source.slices

    def __str__(self) -> str:
        names = ", ".join(self.classes[:10]) + (", ..." if len(self.classes) > 10 else "")
        rare = f"; left out, too few images: {', '.join(self.rare)}" if self.rare else ""
        if self.scenes is not None:
            return self._of_scenes(names)
        kind = "images"
        if self.chips is not None:
            kind = f"chips of {len(self.chips.bands)} bands"
        if self.source.task in WITHOUT_CLASSES:
            return f"{self.images} {kind} with a number each"
        if self.source.mask_legend is not None:
            return (
                f"{self.images} {kind} with masks of {len(self.classes)} classes ({names}): give "
                "the classes their names in ingest.source.legend"
            )
        if self.source.task not in ONE_OF_SEVERAL:
            kind = f"{kind} with any"
            return f"{self.images} {kind} of {len(self.classes)} classes ({names}){rare}"
        return f"{self.images} {kind} in {len(self.classes)} classes ({names}){rare}"

    def _of_scenes(self, names: str) -> str:
        assert self.scenes is not None
        found = self.scenes.labels
        where = found.tree.get("path") or found.tree["folder"]
        kind = found.tree["kind"].replace("_", " ")
        text = (
            f"{self.images} scenes of {len(self.scenes.traits.bands)} bands, to be cut into tiles; "
            f"labels: {kind} in {where}, {len(self.classes)} classes ({names})"
        )
        if "legend" in found.tree:
            text += ": give the classes their names in ingest.source.labels.legend"
        others = f"; not taken: {', '.join(found.others)}" if found.others else ""
        return text + others


def propose_source(folder: str) -> Proposal:
    """Detects what a folder holds: a manifest, scenes with labels beside them, images and their
    masks in two folders, or else class folders.

    Raises:
        DataError: the folder does not exist, it holds fewer than two classes, its manifest has no
            column for the path or the truth, or its scenes have no labels.
    """
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: no such folder. Give the folder that holds the class folders.")
    if (scenes := _scenes(os.path.abspath(folder))) is not None:
        classes, side = scenes.labels.classes, scenes.traits.side_px
        return Proposal(scenes.source, scenes.traits.count, classes, (), side, scenes=scenes)
    source = _source_of(os.path.abspath(folder))
    records = family_of(source).find().records
    counts = Counter(name for record in records for name in record.names)
    classes = tuple(sorted(name for name in counts if counts[name] >= _LEAST_IMAGES))
    has_masks = source.mask_legend is not None
    if has_masks:
        classes = source.legend_classes
    elif source.task not in WITHOUT_CLASSES and len(classes) < 2:
        raise DataError(
            f"{folder}: {len(records)} images, {len(classes)} classes of {_LEAST_IMAGES} images or "
            "more; at least 2 such classes are needed. Put the images of each class into a folder "
            f"of its own, or write a {_MANIFESTS[0]} with the columns uri and label."
        )
    if not records:
        raise DataError(f"{folder}: no image has the truth that {source.uri} should name.")
    sample = _some(records)
    chips = None if has_masks else chip_traits(sample)
    side = _side([record.uri for record in sample]) if chips is None else chips.side_px
    rare = tuple(sorted(counts.keys() - set(classes)))
    if chips is not None:
        source = _as_chips(source, chips)
    counted = {name: counts[name] for name in classes}
    return Proposal(source, len(records), classes, rare, side, chips, counted)


def _scenes(folder: str) -> SceneProposal | None:
    """Proposes scenes, unless a manifest lists the folder's contents."""
    if any(os.path.exists(os.path.join(folder, name)) for name in _MANIFESTS):
        return None
    return propose_scenes(folder)


def _as_chips(source: SourceConfig, chips: ChipTraits) -> ChipsSource:
    columns = source.columns if isinstance(source, ManifestSource) else ManifestColumns()
    return ChipsSource(uri=source.uri, columns=columns, without_map=chips.block_m is None)


def _source_of(folder: str) -> SourceConfig:
    paths = (os.path.join(folder, name) for name in _MANIFESTS)
    manifest = next((path for path in paths if os.path.exists(path)), None)
    if manifest is None:
        pair = folder_pair(folder)
        return FoldersSource(uri=folder) if pair is None else _masked(*pair)
    rows = [row for row in read_rows(manifest) if not isinstance(row, BadRow)]
    seen = Counter(name for row in rows for name in row)
    found = {role: _first(names, seen) for role, names in _NAMES.items()}
    if not (found["label"] or found["labels"]):
        others = ((role, _first(names, seen)) for role, names in _OTHER_TRUTH.items())
        found |= dict([pair for pair in others if pair[1]][:1])
    if found["uri"] is None or not any(found.get(role) for role in _TRUTH):
        roles = _NAMES | _OTHER_TRUTH
        known = [name for role in _TRUTH for name in roles[role]]
        raise DataError(
            f"{manifest}: needs a column for the path ({', '.join(_NAMES['uri'])}) and one for "
            f"the truth ({', '.join(known)}); it has {', '.join(seen) or 'no column'}."
        )
    slices = tuple(
        name
        for name in seen
        if name not in found.values() and len({row.get(name) for row in rows}) <= _MOST_SLICE_VALUES
    )
    columns = ManifestColumns(**found, slices=slices)
    legend = None if columns.mask is None else legend_of(_masks_of(manifest, rows, columns.mask))
    return ManifestSource(uri=manifest, columns=columns, legend=legend)


def _masked(images: str, masks: str) -> MaskedSource:
    paths = [record.uri for record in list_files(masks).records]
    return MaskedSource(uri=images, masks=masks, legend=legend_of(_some(paths)))


def _masks_of(manifest: str, rows: Sequence[Row], column: str) -> list[str]:
    folder = os.path.dirname(manifest)
    named = [str(row[column]) for row in rows if row.get(column)]
    return [name if is_remote(name) else os.path.join(folder, name) for name in _some(named)]


def _some(items: Sequence[_T]) -> Sequence[_T]:
    """Returns an evenly spread sample."""
    return items[:: max(1, len(items) // _SAMPLED)]


def _first(names: tuple[str, ...], seen: Counter[str]) -> str | None:
    return next((name for name in names if name in seen), None)


def _side(paths: list[str]) -> int:
    """Returns the largest power of two within the images' shorter side, from 32 to 224 pixels."""
    sides = []
    for path in paths:
        try:
            with Image.open(path) as image:
                sides.append(min(image.size))
        except (OSError, Image.DecompressionBombError):
            continue
    side = median_low(sides) if sides else 64
    return next((size for size in (224, 128, 64) if side >= size), 32)


def starter_config(proposal: Proposal, name: str, output: str, epochs: int = 60) -> str:
    """Returns the text of a configuration; its paths are relative to the folder of ``output``."""
    rasters = proposal.chips is not None or proposal.scenes is not None
    tree = {"kind": proposal.source.kind} | proposal.source.model_dump(
        exclude_none=True, exclude_defaults=rasters, mode="json"
    )
    if proposal.scenes is not None:
        found = proposal.scenes.labels
        tree |= {"labels": dict(found.tree), "target": found.target}
    folder = os.path.dirname(os.path.abspath(output))
    for part, place in ((tree, "uri"), (tree, "masks"), *_paths_of_labels(tree)):
        if place in part:
            part[place] = os.path.relpath(part[place], folder)
    if (legend := proposal.source.mask_legend) is not None:
        tree["legend"] = legend.model_dump(exclude_defaults=True)
    source = yaml.safe_dump(tree, sort_keys=False, default_flow_style=None)
    first = evaluated_task(proposal.source.task).first_threshold
    guessing = first.least is None
    return _TEMPLATE.format(
        path=output,
        name=name,
        source="".join(f"\n    {line}" for line in source.splitlines()),
        side=proposal.side_px,
        bands=_bands(proposal.scenes.traits if proposal.scenes else proposal.chips),
        split=_split_of_scenes(proposal.scenes.traits)
        if proposal.scenes
        else _split(proposal.chips),
        epochs=epochs,
        classes=_classes(proposal),
        slices=_flow(proposal.slices),
        metric=first.metric,
        floor=_floor(proposal.largest_share) if guessing else first.least,
        why=_guessing(proposal) if guessing else first.why,
    )


def _floor(guessing: float) -> float:
    """Returns twice the accuracy of guessing, or its midpoint to 1 if that is less."""
    return math.floor(100 * min(2 * guessing, (1 + guessing) / 2)) / 100


def _guessing(proposal: Proposal) -> str:
    name = " ".join(proposal.largest.split())
    return f"always answering {name} reaches {proposal.largest_share:.2f}"


def _classes(proposal: Proposal) -> str:
    """Returns the `classes` line for labels; masks have a legend, and numbers no classes."""
    if proposal.source.mask_legend is not None or proposal.source.task in WITHOUT_CLASSES:
        return ""
    return f"\n  classes: [{_flow(proposal.classes)}]  # any other label is a reject"


def _paths_of_labels(tree: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    labels = tree.get("labels")
    return [(labels, "path"), (labels, "folder")] if labels else []


def _bands(rasters: ChipTraits | SceneTraits | None) -> str:
    if rasters is None:
        return ""
    return f"\n    bands: [{_flow([position_of(band) or band for band in rasters.bands])}]"


def _split_of_scenes(scenes: SceneTraits) -> str:
    rule, of_what = scenes.split_by
    text = yaml.safe_dump(rule, default_flow_style=True, sort_keys=False).strip()
    return f"{of_what}\n  split_by: {text}  # see: skymill splits"


def _split(chips: ChipTraits | None) -> str:
    """Returns the split's unit, and the split rule of rasters on a separate line."""
    if chips is None:
        return "by group where there is one, else by content"
    if chips.block_m is None:
        return "each chip on its own: they have no place on a map"
    rule = f"{{by: block, block_m: {chips.block_m}, buffer_m: null}}"
    return f"of blocks of ground\n  split_by: {rule}  # see: skymill splits"


def _flow(names: Sequence[str | int]) -> str:
    """Formats names as the items of a YAML flow list, quoted where YAML needs it."""
    text: str = yaml.safe_dump(list(names), default_flow_style=True, width=10**6)
    return text.strip()[1:-1]


def model_name(folder: str) -> str:
    """Derives a model name from the folder's."""
    stem = os.path.basename(os.path.abspath(folder)).lower()
    name = re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:57]
    return name if name[:1].isalpha() else f"model-{name}".rstrip("-")
