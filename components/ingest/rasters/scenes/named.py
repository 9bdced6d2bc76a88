"""Scenes that a source names, with their truths, before a raster is opened."""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from components.ingest.listing.folders import is_within, list_files
from components.ingest.rasters.scenes.config import BoxLabels, MaskLabels, ScenesSource, TiledSource
from components.ingest.rasters.views import scene_reject
from components.ingest.records.reject import Reason, Reject
from components.raster.errors import DataError
from components.raster.labels.box_files import left_out_beside
from components.raster.labels.boxes import read_boxes
from components.raster.location import is_remote
from components.raster.pairing import Name, Pairing, file_name, pair, whole_name
from components.raster.scene.calibration import calibrated
from components.raster.scene.folders import check_ids, find_scenes
from components.raster.scene.scene import BandFile, FoundScenes, SceneSource
from components.raster.walk import UNUSED_MASK


@dataclass(frozen=True, eq=False)
class NamedScenes:
    """Scenes, rejects and other files that a source names.

    Attributes:
        sources: the scenes that can have a truth.
        truths: the label of each scene: the path of its mask, or the name of its image in a file
            of boxes; None with labels of other kinds.
        rejects: unusable scenes and files.
        ignored: how many files are none of these, by suffix or why.
        claimed: images in a file of boxes that are a scene, or may be.
    """

    sources: tuple[SceneSource, ...]
    truths: tuple[str | None, ...]
    rejects: tuple[Reject, ...]
    ignored: Mapping[str, int]
    claimed: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class _Truths:
    """Available truths and their pairing with scenes.

    Attributes:
        names: their names, for messages.
        values: the `truths` entry of each.
        where: their folder or file, for messages.
        missing: the reason code of a scene that has none.
    """

    pairs: Pairing
    names: Sequence[str]
    values: Sequence[str]
    where: str
    missing: Reason
    rejects: Sequence[Reject] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)


def find_in_folder(source: ScenesSource) -> FoundScenes:
    """Finds the scenes of a folder, or one file.

    Raises:
        DataError: the source cannot be read.
    """
    if is_remote(source.uri):
        name = PurePosixPath(source.uri.partition("://")[2]).stem
        return FoundScenes((SceneSource(name, (BandFile(source.uri, source.band_names),)),))
    found = find_scenes(
        source.uri,
        layout=source.layout,
        band_names=source.band_names,
        band_pattern=source.band_pattern,
        suffixes=source.suffixes,
        apart=_folder_of_labels(source),
    )
    return calibrated(found)


def name_scenes(source: TiledSource, root: str, found: FoundScenes) -> NamedScenes:
    """Pairs the scenes that a folder or a catalogue names with their truths.

    Args:
        source: names the labels.
        root: the folder or catalogue.
        found: its scenes.

    Raises:
        DataError: the labels cannot be read, or two scenes have one id.
    """
    check_ids(found)
    dated = [
        scene if scene.acquired else replace(scene, acquired=source.date_of(scene.scene_id))
        for scene in found
    ]
    rejects = tuple(scene_reject(rejected, root) for rejected in found.rejects)
    truths = _truths(source, root, dated)
    if truths is None:
        return NamedScenes(tuple(dated), (None,) * len(dated), rejects, found.ignored)
    return _with_truths(NamedScenes(tuple(dated), (), rejects, found.ignored), truths)


def _folder_of_labels(source: TiledSource) -> str | None:
    """Returns the folder that holds masks or files of boxes and no scenes."""
    if isinstance(source.labels, MaskLabels):
        return source.labels.folder
    return source.labels.path if isinstance(source.labels, BoxLabels) else None


def _with_truths(named: NamedScenes, truths: _Truths) -> NamedScenes:
    """Keeps the scenes that have a truth, and rejects the others."""
    pairs, ids = truths.pairs, [scene.scene_id for scene in named.sources]
    kept, values, rejects = [], [], [*named.rejects, *truths.rejects]
    for place, scene in enumerate(named.sources):
        truth = pairs.truth_of[place]
        if truth is not None:
            kept.append(scene)
            values.append(truths.values[truth])
            continue
        if place in pairs.disputes:
            reason = Reason.AMBIGUOUS_TRUTH
            detail = f"in {truths.where} {pairs.disputes[place].told(ids, truths.names)}"
        else:
            reason = truths.missing
            detail = (
                f"nothing in {truths.where} is called as it: what shows no object and what nobody "
                "labelled look alike"
            )
        rejects.append(Reject(scene.scene_id, scene.files[0].path, reason, detail))
    return NamedScenes(
        tuple(kept),
        tuple(values),
        tuple(rejects),
        Counter(named.ignored) + Counter(truths.ignored),
        frozenset(truths.values[place] for place in pairs.used | pairs.disputed),
    )


def _truths(source: TiledSource, root: str, scenes: Sequence[SceneSource]) -> _Truths | None:
    names = [_names_of(scene, root) for scene in scenes]
    if isinstance(source.labels, MaskLabels):
        own = {file.path for scene in scenes for file in scene.files}
        return _masks(source.labels.folder, names, own, root)
    if isinstance(source.labels, BoxLabels):
        return _boxes(source.labels, names, root)
    return None


def _masks(
    folder: str, names: Sequence[Collection[Name]], own: Collection[str], root: str
) -> _Truths:
    if not os.path.isdir(folder):
        raise DataError(f"no folder {folder}: source.labels.folder must hold a mask for each scene")
    found = list_files(folder)
    masks = [mask for mask in found.records if mask.uri not in own]
    keys = [mask.key for mask in masks]
    pairs = pair(names, list(map(file_name, keys)))
    unused = Counter({UNUSED_MASK: len(masks) - len(pairs.used)})
    return _Truths(
        pairs,
        keys,
        [mask.uri for mask in masks],
        folder,
        Reason.NO_MASK,
        found.rejects,
        {} if is_within(root, folder) else found.ignored + unused,  # counted with the scenes
    )


def _boxes(labels: BoxLabels, names: Sequence[Collection[Name]], root: str) -> _Truths:
    found = read_boxes(labels)
    images = [image.name for image in found.images]
    return _Truths(
        found.pair(names),
        images,
        images,
        labels.path,
        Reason.NO_BOXES,
        ignored={} if is_within(root, labels.path) else left_out_beside(labels.path),
    )


def _names_of(scene: SceneSource, root: str) -> set[Name]:
    """Returns names that a truth of a scene may have: its id, folder of bands, or a file."""
    paths = [_below(file.path, root) for file in scene.files]
    names = {whole_name(scene.scene_id), *map(file_name, paths)}
    folders = set(map(os.path.dirname, paths))
    if len(paths) > 1 and len(folders) == 1:
        names |= set(map(whole_name, folders))
    return names


def _below(path: str, root: str) -> str:
    """Returns a file's path below the root; for one elsewhere its whole path."""
    if is_remote(path):
        return urlsplit(path).path
    top = root if os.path.isdir(root) else os.path.dirname(root)
    return os.path.relpath(path, top) if is_within(path, top) else path
