"""Scenes below a local folder, one for each file, folder of bands or Landsat delivery."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from components.raster.errors import DataError
from components.raster.scene.gdal import SUFFIXES
from components.raster.scene.landsat import find_mtl, landsat_source
from components.raster.scene.scene import BandFile, SceneSource

#: How files make scenes: each file is one, or each folder is one with a file for every band.
Layout = Literal["file", "folder"]


def find_scenes(
    root: str,
    *,
    layout: Layout = "file",
    band_names: tuple[str, ...] = (),
    suffixes: tuple[str, ...] = SUFFIXES,
) -> Iterator[SceneSource]:
    """Every scene at or below a path, in the order of their paths.

    A folder that holds a Landsat metadata file (`*MTL.txt`) is one scene in any layout. A scene's
    id is its path below the root without the suffix; a Landsat scene has its product's.

    Args:
        root: a folder, or one raster file.
        layout: what makes a scene.
        band_names: names for the bands of each file, where the files do not name them (layout
            `file` only).
        suffixes: of files that are scenes or bands, in lower case.

    Raises:
        DataError: the root does not exist, or there is no raster below it.
    """
    top = Path(root)
    if top.is_file():
        yield SceneSource(top.stem, (BandFile(str(top), band_names),))
        return
    if not top.is_dir():
        raise DataError(f"{root} is neither a folder nor a file. Name where the scenes are.")
    found = False
    for folder in sorted([top, *(path for path in top.rglob("*") if path.is_dir())]):
        for source in _scenes_of(folder, top, layout, band_names, suffixes):
            found = True
            yield source
    if not found:
        raise DataError(f"There is no raster ({', '.join(suffixes)}) in {root} or below it.")


def check_ids(sources: Iterable[SceneSource]) -> None:
    """Raises DataError when two scenes have one id: their tiles could not be told apart."""
    count = Counter(source.scene_id for source in sources)
    twice = sorted(scene_id for scene_id, times in count.items() if times > 1)
    if twice:
        raise DataError(
            f"{len(twice)} scene ids are given to several scenes, such as {twice[0]!r}. "
            "Put the scenes below one root, or rename them."
        )


def _scenes_of(
    folder: Path,
    top: Path,
    layout: Layout,
    band_names: tuple[str, ...],
    suffixes: tuple[str, ...],
) -> Iterator[SceneSource]:
    rasters = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file()
    )
    mtl = find_mtl(folder)
    if not rasters:
        return
    if mtl:
        yield landsat_source(mtl, rasters)
    elif layout == "folder":
        files = tuple(BandFile(str(path), (path.stem,)) for path in rasters)
        yield SceneSource(_scene_id(folder, top), files)
    else:
        for path in rasters:
            yield SceneSource(_scene_id(path, top), (BandFile(str(path), band_names),))


def _scene_id(path: Path, top: Path) -> str:
    relative = path.relative_to(top).as_posix() if path != top else top.name
    return relative if path.is_dir() else relative.removesuffix(path.suffix)
