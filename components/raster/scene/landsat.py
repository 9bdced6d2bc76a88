"""Landsat deliveries: a folder with a file for every band and a metadata file (MTL).

The format of the metadata file is the USGS's "Landsat Level-1 Data Format Control Book".
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from components.raster.scene.scene import BandFile, SceneSource
from components.raster.scene.sensors import SensorBand, landsat_band, landsat_label

_MTL = "MTL.txt"
_ASSIGNMENT = re.compile(r"^\s*(\w+)\s*=\s*\"?(.*?)\"?\s*$")


def is_mtl(name: str) -> bool:
    """Checks whether a file is named like the metadata file of a Landsat delivery."""
    return name.endswith(_MTL)


def of_each_delivery(mtls: Sequence[Path], rasters: Sequence[Path]) -> dict[Path, list[Path]]:
    """Groups a folder's rasters by delivery: all for a single one, else by name prefix."""
    if len(mtls) == 1:
        return {mtls[0]: sorted(rasters)}
    found: dict[Path, list[Path]] = {mtl: [] for mtl in sorted(mtls)}
    longest = sorted(mtls, key=lambda mtl: -len(mtl.name))
    for raster in sorted(rasters):
        own = (mtl for mtl in longest if raster.name.startswith(mtl.name.removesuffix(_MTL)))
        if (mtl := next(own, None)) is not None:
            found[mtl].append(raster)
    return found


def read_mtl(path: Path) -> dict[str, str]:
    """Reads the values of a metadata file by name, without their groups.

    If several groups have a name, the first counts: those of a level 2 product precede those of the
    level 1 that it was made from.
    """
    values: dict[str, str] = {}
    for line in path.read_text(encoding="ascii", errors="replace").replace("\0", "").splitlines():
        match = _ASSIGNMENT.match(line)
        if match and match[1] not in ("GROUP", "END_GROUP"):
            values.setdefault(match[1], match[2])
    return values


def landsat_source(mtl: Path, rasters: Sequence[Path]) -> SceneSource:
    """Builds the scene of a Landsat delivery; band names are the USGS's: B1 to B11, QA_PIXEL.

    Bands of level 2 also have the name of their product: SR_B4, ST_B10.
    """
    values = read_mtl(mtl)
    named = [(band, path) for path in rasters if (band := _band_of(path, values)) is not None]
    files = [
        BandFile(
            str(path),
            (band.name,),
            (band.common_name,) if band.common_name else (),
            aliases=band.aliases,
        )
        for band, path in sorted(named, key=lambda item: (_natural(item[0].name), item[1]))
    ]
    sensor = "_".join(filter(None, (values.get("SPACECRAFT_ID"), values.get("SENSOR_ID"))))
    return SceneSource(
        scene_id=values.get("LANDSAT_PRODUCT_ID")
        or values.get("LANDSAT_SCENE_ID")
        or mtl.parent.name,
        files=tuple(files),
        acquired=_acquired(values),
        sensor=sensor or None,
        cloud_cover_percent=_percent(values.get("CLOUD_COVER")),
    )


def _percent(text: str | None) -> float | None:
    """Parses a cloud cover; None for an invalid one and for -1, which means "not computed"."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number <= 100 else None


def _band_of(path: Path, values: Mapping[str, str]) -> SensorBand | None:
    """Returns a file's band: by the end of its name, else by the metadata's list of files."""
    label = landsat_label(path.stem) or listed_label(path, values)
    if label is None:
        return None
    return landsat_band(label, values.get("SPACECRAFT_ID", ""), values.get("SENSOR_ID", ""))


def listed_label(path: Path, values: Mapping[str, str]) -> str | None:
    """Returns the metadata's label of a file: `B4`, `ST_B10`; None if it does not list it."""
    for key, value in values.items():
        if key.startswith("FILE_NAME_") and value.lower() == path.name.lower():
            label = key.removeprefix("FILE_NAME_").removeprefix("BAND_")
            return f"B{label}" if label[:1].isdigit() else label
    return None


def _acquired(values: dict[str, str]) -> str | None:
    day = values.get("DATE_ACQUIRED")
    time = values.get("SCENE_CENTER_TIME", "")
    # Readers of ISO 8601 do not accept seven digits of a second.
    moment = re.match(r"\d\d:\d\d:\d\d", time)
    return f"{day}T{moment[0]}Z" if day and moment else day


def _natural(name: str) -> tuple[int, str]:
    digits = re.search(r"\d+", name)
    return (int(digits[0]) if digits else 10**6, name)
