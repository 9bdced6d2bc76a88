"""Scenes below a local folder: one per file, folder of bands or delivered product."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from components.raster.errors import DataError
from components.raster.reasons import Reason
from components.raster.scene.deliveries import band_files
from components.raster.scene.gdal import SUFFIXES
from components.raster.scene.landsat import is_mtl, landsat_source, of_each_delivery
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import BandFile, FoundScenes, SceneSource
from components.raster.scene.sentinel2 import granule_of, is_product_metadata, safe_source
from components.raster.walk import HIDDEN, NO_BAND, left_out_as, walk

#: Grouping of files into scenes: each file is one, or each folder is one with a file per band.
Layout = Literal["file", "folder"]


def find_scenes(
    root: str,
    *,
    layout: Layout = "file",
    band_names: tuple[str, ...] = (),
    band_pattern: str | None = None,
    suffixes: tuple[str, ...] = SUFFIXES,
    apart: str | None = None,
) -> FoundScenes:
    """Finds every scene at or below a path, in the order of their paths.

    A Landsat delivery (a folder with `*MTL.txt`) and a granule of a Sentinel-2 product (a folder
    with `MTD_MSI*.xml`) are one scene in any layout. A scene's id is its path below the root
    without the suffix; for Landsat and Sentinel-2 it is the product's. Links are followed, cycles
    only once; hidden files and those with other suffixes are counted.

    Args:
        root: a folder, or one raster file.
        layout: grouping of files into scenes.
        band_names: names of the bands of each file, if the files do not name them; with the layout
            `folder`, of the files of each folder (see `band_files`).
        band_pattern: finds the band in a file's name, with the layout `folder`.
        suffixes: of files that are scenes or bands, in lower case.
        apart: a folder of other files, such as masks, which is left out if it is below `root`.

    Raises:
        DataError: the root does not exist, or there is no raster below it.

    >>> [source.scene_id for source in find_scenes(scene_file).sources]
    ['made']
    """
    if os.path.isfile(root):
        return FoundScenes((SceneSource(Path(root).stem, (BandFile(root, band_names),)),))
    if not os.path.isdir(root):
        raise DataError(
            f"{root} is neither a folder nor a file. Name the folder or file with the scenes."
        )
    below = _files_below(root, apart, suffixes)
    if not below.rasters and not below.rejects:
        others = ", ".join(f"{count} {name}" for name, count in sorted(below.ignored.items()))
        raise DataError(
            f"There is no raster ({', '.join(suffixes)}) in {root} or below it; "
            f"other files: {others or 'none'}."
        )
    sources = list(_safe_scenes(below))
    for folder in sorted(below.rasters, key=lambda key: PurePosixPath(key).parts):
        if folder in below.mtls:
            sources += _landsat_scenes(folder, below)
        elif layout == "folder":
            name = folder or os.path.basename(os.path.abspath(root))
            rasters = [Path(it) for it in sorted(below.rasters[folder])]
            files = band_files(rasters, band_names=band_names, band_pattern=band_pattern)
            sources.append(SceneSource(name, files))
        else:
            sources += _scenes_of_files(folder, below.rasters[folder], band_names)
    return FoundScenes(tuple(sources), tuple(below.rejects), dict(below.ignored))


def check_ids(sources: Iterable[SceneSource]) -> None:
    """Raises DataError if two scenes have one id: their tiles would be indistinguishable."""
    by_id: dict[str, list[str]] = {}
    for source in sources:
        by_id.setdefault(source.scene_id, []).append(source.files[0].path if source.files else "")
    twice = sorted(scene_id for scene_id, places in by_id.items() if len(places) > 1)
    if twice:
        raise DataError(
            f"One id is given to several scenes, such as {twice[0]!r} "
            f"({' and '.join(by_id[twice[0]][:3])}); {len(twice)} in all. "
            "Put the scenes below one root, rename them, or choose them by their suffixes."
        )


def check_folders(sources: Iterable[SceneSource]) -> None:
    """Raises DataError if one scene's outputs would be inside the folder of another's."""
    ids = {source.scene_id for source in sources}
    for scene_id in sorted(ids):
        for parent in map(str, PurePosixPath(scene_id).parents):
            if parent in ids:
                raise DataError(
                    f"the outputs of the scene {scene_id!r} would be in the folder of those of "
                    f"{parent!r}. Rename one, or give each its own --output."
                )


@dataclass
class _Below:
    """The files below a root; rasters and metadata files of products by their folders' keys."""

    rasters: dict[str, list[str]] = field(default_factory=dict)
    mtls: dict[str, list[str]] = field(default_factory=dict)
    safes: dict[str, str] = field(default_factory=dict)
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
            elif name != HIDDEN and is_product_metadata(entry.key) and os.path.isfile(entry.path):
                below.safes[folder] = entry.path
        elif os.path.isfile(entry.path):
            below.rasters.setdefault(folder, []).append(entry.path)
        else:  # opening a named pipe would block
            below.rejects.append(_unreadable(entry.key, f"{entry.path} is missing or no file."))
    return below


def _scenes_of_files(
    folder: str, rasters: Iterable[str], band_names: tuple[str, ...]
) -> Iterator[SceneSource]:
    for path in sorted(rasters):
        name = PurePosixPath(folder, Path(path).stem).as_posix()
        yield SceneSource(name, (BandFile(path, band_names),))


def _safe_scenes(below: _Below) -> Iterator[SceneSource]:
    """Yields granules of Sentinel-2 products and removes them from `below`; their other rasters,
    such as cloud masks, are counted."""
    for product in sorted(below.safes):
        prefix = f"{product}/" if product else ""
        inside = [folder for folder in below.rasters if f"{folder}/".startswith(prefix)]
        images: dict[str, list[Path]] = {}
        for folder in inside:
            granule = granule_of(folder.removeprefix(prefix))
            if granule is not None:
                images.setdefault(granule, []).extend(map(Path, below.rasters[folder]))
        if not images:
            continue
        for folder in inside:
            below.ignored[NO_BAND] += len(below.rasters.pop(folder))
        below.ignored[NO_BAND] -= sum(map(len, images.values()))
        for granule, files in sorted(images.items()):
            name = granule if len(images) > 1 else None
            yield safe_source(Path(below.safes[product]), sorted(files), granule=name)


def _landsat_scenes(folder: str, below: _Below) -> Iterator[SceneSource]:
    """Yields the deliveries in a folder; counts files that are not bands, rejects broken ones."""
    mtls, rasters = ([Path(it) for it in held[folder]] for held in (below.mtls, below.rasters))
    used = 0
    for mtl, own in of_each_delivery(mtls, rasters).items():
        try:
            source = landsat_source(mtl, own)
        except (OSError, ValueError) as error:
            detail = f"{mtl} cannot be used: {error}"
            below.rejects.append(SceneRejected(mtl.stem, Reason.BAD_METADATA, detail))
            used += len(own)
            continue
        used += len(source.files)
        if source.files:
            yield source
        else:
            detail = f"no raster beside {mtl} is named like a band."
            below.rejects.append(SceneRejected(source.scene_id, Reason.NO_BANDS, detail))
    if used < len(rasters):
        below.ignored[NO_BAND] += len(rasters) - used


def _unreadable(key: str, detail: str) -> SceneRejected:
    return SceneRejected(key, Reason.UNREADABLE, detail)
