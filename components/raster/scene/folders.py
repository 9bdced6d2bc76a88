"""Scenes below a local folder, one for each file, folder of bands or Landsat delivery."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from components.raster.errors import DataError
from components.raster.scene.gdal import SUFFIXES
from components.raster.scene.landsat import is_mtl, landsat_source, of_each_delivery
from components.raster.scene.rejects import SceneRefusal, SceneRejected
from components.raster.scene.scene import BandFile, FoundScenes, SceneSource
from components.raster.walk import HIDDEN, NO_BAND, left_out_as, walk

#: How files make scenes: each file is one, or each folder is one with a file for every band.
Layout = Literal["file", "folder"]


def find_scenes(
    root: str,
    *,
    layout: Layout = "file",
    band_names: tuple[str, ...] = (),
    suffixes: tuple[str, ...] = SUFFIXES,
    apart: str | None = None,
) -> FoundScenes:
    """Every scene at or below a path, in the order of their paths.

    A folder that holds a Landsat metadata file (`*MTL.txt`) is one scene in any layout. A scene's
    id is its path below the root without the suffix; a Landsat scene has its product's. Links are
    followed, in circles once; hidden files and those of other suffixes are counted.

    Args:
        root: a folder, or one raster file.
        layout: what makes a scene.
        band_names: names for the bands of each file, where the files do not name them (layout
            `file` only).
        suffixes: of files that are scenes or bands, in lower case.
        apart: a folder of other files, such as masks, that is left out where it lies below.

    Raises:
        DataError: the root does not exist, or there is no raster below it.
    """
    if os.path.isfile(root):
        return FoundScenes((SceneSource(Path(root).stem, (BandFile(root, band_names),)),))
    if not os.path.isdir(root):
        raise DataError(f"{root} is neither a folder nor a file. Name where the scenes are.")
    below = _files_below(root, apart, suffixes)
    if not below.rasters and not below.rejects:
        others = ", ".join(f"{count} {name}" for name, count in sorted(below.ignored.items()))
        raise DataError(
            f"There is no raster ({', '.join(suffixes)}) in {root} or below it; "
            f"other files: {others or 'none'}."
        )
    sources: list[SceneSource] = []
    for folder in sorted(below.rasters, key=lambda key: PurePosixPath(key).parts):
        if folder in below.mtls:
            sources += _landsat_scenes(folder, below)
        elif layout == "folder":
            name = folder or os.path.basename(os.path.abspath(root))
            sources.append(_scene_of_folder(name, below.rasters[folder]))
        else:
            sources += _scenes_of_files(folder, below.rasters[folder], band_names)
    return FoundScenes(tuple(sources), tuple(below.rejects), dict(below.ignored))


def check_ids(sources: Iterable[SceneSource]) -> None:
    """Raises DataError when two scenes have one id: their tiles could not be told apart."""
    by_id: dict[str, list[str]] = {}
    for source in sources:
        by_id.setdefault(source.scene_id, []).append(source.files[0].path if source.files else "")
    twice = sorted(scene_id for scene_id, places in by_id.items() if len(places) > 1)
    if twice:
        raise DataError(
            f"{len(twice)} scene ids are given to several scenes, such as {twice[0]!r} "
            f"({' and '.join(by_id[twice[0]][:3])}). "
            "Put the scenes below one root, rename them, or choose them by their suffixes."
        )


@dataclass
class _Below:
    """The files below a root; rasters and metadata files of Landsat by their folders' keys."""

    rasters: dict[str, list[str]] = field(default_factory=dict)
    mtls: dict[str, list[str]] = field(default_factory=dict)
    rejects: list[SceneRejected] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


def _files_below(root: str, apart: str | None, suffixes: tuple[str, ...]) -> _Below:
    below = _Below()
    for entry in walk(root, apart):
        name, folder = left_out_as(entry.key, suffixes), os.path.dirname(entry.key)
        if entry.error and name != HIDDEN:
            below.rejects.append(_unreadable(entry.key, f"{entry.path}: {entry.error}"))
        elif entry.is_folder and not entry.error:
            continue
        elif name:
            below.ignored[name] += 1
            if name != HIDDEN and is_mtl(entry.key) and os.path.isfile(entry.path):
                below.mtls.setdefault(folder, []).append(entry.path)
        elif os.path.isfile(entry.path):
            below.rasters.setdefault(folder, []).append(entry.path)
        else:  # opening a named pipe would wait for ever
            below.rejects.append(_unreadable(entry.key, f"{entry.path} is missing or no file."))
    return below


def _scene_of_folder(name: str, rasters: Iterable[str]) -> SceneSource:
    """A scene of a file a band, which are called as the files."""
    return SceneSource(name, tuple(BandFile(it, (Path(it).stem,)) for it in sorted(rasters)))


def _scenes_of_files(
    folder: str, rasters: Iterable[str], band_names: tuple[str, ...]
) -> Iterator[SceneSource]:
    for path in sorted(rasters):
        name = PurePosixPath(folder, Path(path).stem).as_posix()
        yield SceneSource(name, (BandFile(path, band_names),))


def _landsat_scenes(folder: str, below: _Below) -> Iterator[SceneSource]:
    """The deliveries in a folder; files of no band are counted, and what is broken is a reject."""
    mtls, rasters = ([Path(it) for it in held[folder]] for held in (below.mtls, below.rasters))
    used = 0
    for mtl, own in of_each_delivery(mtls, rasters).items():
        try:
            source = landsat_source(mtl, own)
        except (OSError, ValueError) as error:
            detail = f"{mtl} cannot be used: {error}"
            below.rejects.append(SceneRejected(mtl.stem, SceneRefusal.BAD_METADATA, detail))
            used += len(own)
            continue
        used += len(source.files)
        if source.files:
            yield source
        else:
            detail = f"no raster beside {mtl} is called as a band."
            below.rejects.append(SceneRejected(source.scene_id, SceneRefusal.NO_BANDS, detail))
    if used < len(rasters):
        below.ignored[NO_BAND] += len(rasters) - used


def _unreadable(key: str, detail: str) -> SceneRejected:
    return SceneRejected(key, SceneRefusal.UNREADABLE, detail)
