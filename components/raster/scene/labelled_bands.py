"""Band names of an open file, from the first origin that states them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from components.raster.band_names import position_name, position_of
from components.raster.reasons import Reason
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import BandFile
from components.raster.scene.sensors import common_name_of, sensor_band

_COLOURS = {
    ColorInterp.red: "red",
    ColorInterp.green: "green",
    ColorInterp.blue: "blue",
}


@dataclass(frozen=True)
class BandLabel:
    """The names of one band of a file."""

    name: str
    common_name: str | None = None
    aliases: tuple[str, ...] = ()


def band_labels(
    scene_id: str,
    file: BandFile,
    dataset: DatasetReader,
    indexes: Sequence[int],
    *,
    alone: bool,
    sensor: str | None,
) -> Sequence[BandLabel]:
    """Returns the names of some bands of an open file.

    A band's name comes from the source, else from the file's description, else from the file's name
    if it has the form of a known sensor, else from its position.

    Args:
        scene_id: of the file's scene.
        file: as the source names it.
        dataset: the same file, open.
        indexes: of the bands, from 1.
        alone: whether the scene has no other file.
        sensor: as named in metadata.

    Raises:
        SceneRejected: the source has names for another number of bands.
    """
    names = _given(scene_id, file, dataset, indexes) or _described(dataset, indexes)
    known = None if names or len(indexes) > 1 else sensor_band(file.path)
    if known is not None:
        return [BandLabel(known.name, known.common_name, known.aliases)]
    names = names or _by_position(file, indexes, alone)
    given = [*file.common_names, *[""] * len(names)]
    return [
        BandLabel(
            name,
            given[place]
            or common_name_of(name, sensor or "")
            or _COLOURS.get(dataset.colorinterp[index - 1]),
            file.aliases if len(names) == 1 else (),
        )
        for place, (name, index) in enumerate(zip(names, indexes, strict=True))
    ]


def _given(
    scene_id: str, file: BandFile, dataset: DatasetReader, indexes: Sequence[int]
) -> Sequence[str]:
    """Returns the source's names; empty if it has one for all of several bands."""
    given = file.band_names
    if len(given) == dataset.count:  # an alpha band may be named too
        return [given[index - 1] for index in indexes]
    if len(given) <= 1 or len(given) == len(indexes):
        return given if len(given) == len(indexes) else ()
    raise SceneRejected(
        scene_id,
        Reason.BAD_METADATA,
        f"{file.path} has {len(indexes)} bands, and {len(given)} names are given for them: "
        f"{', '.join(given)}.",
    )


def _described(dataset: DatasetReader, indexes: Sequence[int]) -> Sequence[str]:
    """Returns the file's own names for its bands; empty unless they all differ."""
    found = [dataset.descriptions[index - 1] or "" for index in indexes]
    names = {name for name in found if name and position_of(name) is None}
    return found if len(names) == len(indexes) else ()


def _by_position(file: BandFile, indexes: Sequence[int], alone: bool) -> Sequence[str]:
    """Returns `#2`, or `name#2` if there are several files or the source wants a prefix."""
    name = "".join(file.band_names)
    if not name and not alone:
        name = PurePosixPath(file.path).stem
        if len(indexes) == 1:
            return [name]
    return [name + position_name(index) for index in indexes]
