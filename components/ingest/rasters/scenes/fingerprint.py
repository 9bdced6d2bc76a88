"""Entries of a fingerprint for scenes, their labels and their area of interest."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import PurePath

from components.ingest.files.sides import side_finder
from components.ingest.rasters.scenes.config import TiledSource
from components.ingest.rasters.scenes.labels.kinds import kind_of
from components.ingest.rasters.scenes.named import NamedScenes
from components.ingest.records.family import ChecksumsOf, Entries, FingerprintInput
from components.raster.location import is_remote


def fingerprint_input_of_scenes(
    source: TiledSource, named: NamedScenes, split_files: Sequence[str]
) -> FingerprintInput:
    """Returns the fingerprint's input: each scene with the content of its files and its truth, and
    each other file by role and name."""
    others = [("split", PurePath(path).name, path) for path in split_files] + _other_files(source)
    labels = kind_of(source.labels)
    masks = [labels.own_file(truth) for truth in named.truths]
    paths = [file.path for scene in named.sources for file in scene.files]
    sides_of = side_finder()
    whole = {path: (path, *sides_of(path)) for path in (*paths, *masks) if path is not None}
    files = [*(path for _, _, path in others), *chain(*whole.values())]
    entries = partial(_entries, named, masks, whole, others, files)
    return FingerprintInput(lambda: files, entries, lambda checksums_of, _: entries(checksums_of))


def _entries(
    named: NamedScenes,
    masks: Sequence[str | None],
    whole: Mapping[str, Sequence[str]],
    others: Sequence[tuple[str, str, str]],
    files: Sequence[str],
    checksums_of: ChecksumsOf,
) -> Entries:
    checksums = dict(zip(files, checksums_of(files), strict=True))
    entries: list[Sequence[object]] = []
    for scene, truth, mask in zip(named.sources, named.truths, masks, strict=True):
        contents = [
            (
                *(file.band_names, file.common_names, file.aliases, *file.scalings),
                _address(file.path),
                [checksums[it] for it in whole[file.path]],
            )
            for file in scene.files
        ]
        own = truth if mask is None else [checksums[it] for it in whole[mask]]
        entries.append(("scene", asdict(replace(scene, files=())), contents, own))
    entries += [(role, name, checksums[path]) for role, name, path in others]
    entries += [("reject", reject.key, reject.reason.value) for reject in named.rejects]
    return entries


def _address(path: str) -> str:
    """Returns a remote file's address without its signature."""
    return path.partition("?")[0] if is_remote(path) else ""


def _other_files(source: TiledSource) -> list[tuple[str, str, str]]:
    """Lists role, name and path of each file of the area of interest, and of labels that are not
    of a single scene."""
    found = [] if source.area is None else [("area", PurePath(source.area).name, source.area)]
    return found + [("labels", name, path) for name, path in kind_of(source.labels).shared_files()]
