"""Fingerprint of a source, taken before a pipeline starts."""

import os
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cache
from itertools import chain
from pathlib import PurePath

from components.ingest.config import SourceConfig
from components.ingest.files.remote import content_state
from components.ingest.photographs.config import BoxedSource
from components.ingest.rasters.config import (
    BoxLabels,
    ChipsSource,
    ClassRasterLabels,
    MaskLabels,
    ShapeLabels,
    TiledSource,
)
from components.ingest.rasters.scenes.named import NamedScenes
from components.ingest.records.record import Contents, Record
from components.ingest.sources import Named, name_source
from components.raster.fingerprint import checksums_of_files, fingerprint_of
from components.raster.labels.box_files import box_files
from components.raster.location import is_remote
from components.raster.scene.calibration import Calibration
from components.raster.spatial.rules import ByArea, SplitRule

#: Function that returns the checksums that represent the content of files.
Checksums = Callable[[Sequence[str]], dict[str, str]]

WEB = ("http://", "https://")
#: Represents content without any known state.
UNKNOWN = "?"
_WEB_TIMEOUT_S = 30.0
_STATE_HEADERS = ("ETag", "Last-Modified", "Content-Length")
_SIDES_OF_NAME = (".msk", ".aux.xml", ".ovr")
_SIDES_OF_STEM = (".tfw", ".wld", ".jgw", ".pgw", ".dbf", ".shx", ".prj", ".cpg")
_STORE_REQUESTS = 32  # at a time: a store answers each in tens of milliseconds


def fingerprint_dataset(source: SourceConfig, split_by: SplitRule | None = None) -> str:
    """Computes a sha256 in hex that changes when, and only when, ingest's input changes.

    It covers each image's key, truth, split, group, slice features and content, and what could not
    be listed. Content is hashed for local files; a remote file counts by the store's own checksum,
    or generation, or size and time where the store has no more. If a
    file has no known state, 32 random digits and a hyphen precede. No TensorFlow is loaded.
    Of scenes it covers every file of every band and its catalogue entry, the files of
    labels and the area of interest; of any source the areas that its split is drawn by.

    Raises:
        DataError: the source as a whole cannot be read.
    """
    return fingerprint_by(content_checksums, source, split_by)


def fingerprint_by(
    checksums_of: Checksums,
    source: SourceConfig,
    split_by: SplitRule | None = None,
    named: Named | None = None,
) -> str:
    """Computes `fingerprint_dataset` with other checksums of files' content.

    Args:
        checksums_of: called once, for all files that ingest would read.
        source: what is read.
        split_by: the rule of its splits.
        named: what the source names, from `name_source`; None asks the source now.
    """
    is_known = True

    def told(uris: Sequence[str]) -> dict[str, str]:
        nonlocal is_known
        found = checksums_of(uris)
        is_known = UNKNOWN not in found.values()
        return found

    drawn = [split_by.path] if isinstance(split_by, ByArea) else []
    named = named or name_source(source)
    if isinstance(source, TiledSource):
        assert not isinstance(named, Contents)
        found = fingerprint_of(_scene_entries(told, source, named, drawn))
    else:
        assert isinstance(named, Contents)
        found = fingerprint_of(_image_entries(told, source, named, drawn))
    return found if is_known else f"{uuid.uuid4().hex}-{found}"


def same_data(one: str, other: str) -> bool:
    """Checks whether two fingerprints are of the same data, as far as file states show."""
    return one.rpartition("-")[2] == other.rpartition("-")[2]


def _image_entries(
    checksums_of: Checksums, source: SourceConfig, contents: Contents, drawn: Sequence[str]
) -> list[Sequence[object]]:
    """Lists each image with its record's values, then the other files."""
    sides_of = _chip_sides() if isinstance(source, ChipsSource) else _no_sides
    sides = {record.uri: sides_of(record.uri) for record in contents.records}
    masks = [record.mask_uri for record in contents.records if record.mask_uri is not None]
    boxes = box_files(source.boxes.path) if isinstance(source, BoxedSource) else {}
    files = [path for uri, beside in sides.items() for path in (uri, *beside)]
    checksums = checksums_of([*files, *masks, *boxes.values(), *drawn])
    entries: list[Sequence[object]] = [
        (
            record.key,
            record.label,
            record.labels,
            record.split,
            record.group,
            sorted(record.slices.items()),
            checksums[record.uri],
            *_other_truth(record, checksums),
            *(checksums[path] for path in sides[record.uri]),
        )
        for record in contents.records
    ]
    entries += [("reject", reject.key, reject.reason.value) for reject in contents.rejects]
    entries += [("boxes", key, checksums[path]) for key, path in boxes.items()]
    entries += [("split", checksums[path]) for path in drawn]
    return entries


def _other_truth(record: Record, checksums: Mapping[str, str]) -> Iterator[object]:
    """Yields a record's truth other than classes."""
    if record.number is not None:
        yield record.number
    if record.mask_uri is not None:
        yield checksums[record.mask_uri]
    if record.boxes_of is not None:
        yield record.boxes_of


def _scene_entries(
    checksums_of: Checksums, source: TiledSource, named: NamedScenes, drawn: Sequence[str]
) -> list[Sequence[object]]:
    """Lists each scene with the content of its files and its truth, then each other file by role
    and name."""
    others = [("split", PurePath(path).name, path) for path in drawn] + _other_files(source)
    has_masks = isinstance(source.labels, MaskLabels)
    masks = [truth if has_masks else None for truth in named.truths]
    paths = [file.path for scene in named.sources for file in scene.files]
    sides_of = side_finder()
    whole = {path: (path, *sides_of(path)) for path in (*paths, *masks) if path is not None}
    checksums = checksums_of([*(path for _, _, path in others), *chain(*whole.values())])
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
        told = truth if mask is None else [checksums[it] for it in whole[mask]]
        entries.append(("scene", asdict(replace(scene, files=())), contents, told))
    entries += [(role, name, checksums[path]) for role, name, path in others]
    entries += [("reject", reject.key, reject.reason.value) for reject in named.rejects]
    return entries


def _address(path: str) -> str:
    """Returns a remote file's address without its signature."""
    return path.partition("?")[0] if is_remote(path) else ""


def _other_files(source: TiledSource) -> list[tuple[str, str, str]]:
    """Lists role, name and path of each file of the area of interest, and of labels without a scene
    of their own."""
    labels = source.labels
    found = [] if source.area is None else [("area", PurePath(source.area).name, source.area)]
    if isinstance(labels, ShapeLabels | ClassRasterLabels):
        whole = (labels.path, *side_finder()(labels.path))
        found += [("labels", PurePath(path).name, path) for path in whole]
    elif isinstance(labels, BoxLabels):
        found += [("labels", key, path) for key, path in box_files(labels.path).items()]
    return found


def side_finder() -> Callable[[str], list[str]]:
    """Returns a function that finds the side files that GDAL reads with a local file: masks,
    statistics, places, attributes. It lists each folder once."""

    @cache
    def names_in(folder: str) -> frozenset[str]:
        try:
            return frozenset(os.listdir(folder or "."))
        except OSError:
            return frozenset()

    def sides_of(path: str) -> list[str]:
        if is_remote(path):
            return []
        folder, name = os.path.split(path)
        stem = os.path.splitext(name)[0]
        sides = [name + suffix for suffix in _SIDES_OF_NAME]
        sides += [stem + suffix for suffix in _SIDES_OF_STEM]
        there = [side for side in sides if side != name and side in names_in(folder)]
        return [side for it in there if os.path.isfile(side := os.path.join(folder, it))]

    return sides_of


def _chip_sides() -> Callable[[str], list[str]]:
    """Returns a function that finds the side files of a chip and its scale and offset metadata."""
    sides_of, calibration = side_finder(), Calibration()
    return lambda path: [*sides_of(path), *calibration.files(path)]


def _no_sides(uri: str) -> list[str]:
    return []


def content_checksums(uris: Sequence[str]) -> dict[str, str]:
    """Returns the sha256 of local files, and a state that represents the content of remote ones."""
    local = [uri for uri in uris if not is_remote(uri)]
    web = [uri for uri in uris if uri.startswith(WEB)]
    found = dict(zip(local, checksums_of_files(local), strict=True))
    if web:
        with ThreadPoolExecutor(_STORE_REQUESTS) as pool:
            found |= dict(zip(web, pool.map(_web_checksum, web), strict=True))
    stored = [uri for uri in uris if is_remote(uri) and not uri.startswith(WEB)]
    return found | _store_checksums(stored)


def _web_checksum(url: str) -> str:
    """Returns a web server's state of a file, without its content."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_WEB_TIMEOUT_S) as answer:
            told = [answer.headers.get(name) for name in _STATE_HEADERS]
    except (OSError, ValueError):
        return UNKNOWN
    return "|".join(value or "" for value in told) if any(told) else UNKNOWN


def _store_checksums(uris: Sequence[str]) -> dict[str, str]:
    if not uris:
        return {}
    with ThreadPoolExecutor(_STORE_REQUESTS) as pool:
        return dict(zip(uris, pool.map(_store_checksum, uris), strict=True))


def _store_checksum(uri: str) -> str:
    try:
        return content_state(uri)
    except Exception:  # every store raises its own exceptions
        return UNKNOWN
