"""Scenes named by a source, with their truths, before a raster is opened."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from components.ingest.listing.folders import is_within
from components.ingest.rasters.scenes.config import ScenesSource, TiledSource
from components.ingest.rasters.scenes.labels.kinds import kind_of
from components.ingest.rasters.scenes.labels.reader import OwnLabels
from components.ingest.rasters.views import scene_reject
from components.ingest.records.reject import Reject
from components.raster.location import is_remote
from components.raster.pairing import Name, file_name, whole_name
from components.raster.reasons import Reason
from components.raster.scene.calibration import calibrated
from components.raster.scene.folders import check_ids, find_scenes
from components.raster.scene.scene import BandFile, FoundScenes, SceneSource


@dataclass(frozen=True, eq=False)
class NamedScenes:
    """Scenes, rejects and other files named by a source.

    Attributes:
        sources: the scenes that can have a truth.
        truths: the label of each scene: the path of its mask, or the name of its image in a file
            of boxes; None for other kinds of labels.
        rejects: unusable scenes and files.
        ignored: number of other files, by suffix or reason.
        claimed: images in a file of boxes that are a scene, or may be one.
    """

    sources: tuple[SceneSource, ...]
    truths: tuple[str | None, ...]
    rejects: tuple[Reject, ...]
    ignored: Mapping[str, int]
    claimed: frozenset[str] = frozenset()


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
        apart=kind_of(source.labels).folder_apart(),
    )
    return calibrated(found)


def name_scenes(source: TiledSource, root: str, found: FoundScenes) -> NamedScenes:
    """Pairs the scenes of a folder or a catalogue with their truths.

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
    names = [_names_of(scene, root) for scene in dated]
    files = {file.path for scene in dated for file in scene.files}
    truths = kind_of(source.labels).pair(names, files, root)
    if truths is None:
        return NamedScenes(tuple(dated), (None,) * len(dated), rejects, found.ignored)
    return _with_truths(NamedScenes(tuple(dated), (), rejects, found.ignored), truths)


def _with_truths(named: NamedScenes, truths: OwnLabels) -> NamedScenes:
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
            detail = f"in {truths.where} {pairs.disputes[place].explain(ids, truths.names)}"
        else:
            reason = truths.missing
            detail = (
                f"nothing in {truths.where} has its name, and a scene without objects cannot be "
                "distinguished from one that nobody labelled"
            )
        rejects.append(Reject(scene.scene_id, scene.files[0].path, reason, detail))
    return NamedScenes(
        tuple(kept),
        tuple(values),
        tuple(rejects),
        Counter(named.ignored) + Counter(truths.ignored),
        frozenset(truths.values[place] for place in pairs.used | pairs.disputed),
    )


def _names_of(scene: SceneSource, root: str) -> set[Name]:
    """Returns possible names of a scene's truth: those of its id, folder of bands, and files."""
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
