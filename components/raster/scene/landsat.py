"""Landsat deliveries: a folder with a file for every band and a metadata file (MTL).

The format of the metadata file is the USGS's "Landsat Level-1 Data Format Control Book".
"""

import re
from collections.abc import Sequence
from pathlib import Path

from components.raster.scene.scene import BandFile, SceneSource

_MTL = "MTL.txt"
_ASSIGNMENT = re.compile(r"^\s*(\w+)\s*=\s*\"?(.*?)\"?\s*$")
_BAND = re.compile(r"(?:^|_)(B\w+|QA\w*)$", re.IGNORECASE)

# STAC's common band names: https://github.com/stac-extensions/eo#common-band-names
_THEMATIC_MAPPER = {
    "B1": "blue",
    "B2": "green",
    "B3": "red",
    "B4": "nir08",
    "B5": "swir16",
    "B6": "lwir",
    "B7": "swir22",
    "B8": "pan",
}
_LAND_IMAGER = {
    "B1": "coastal",
    "B2": "blue",
    "B3": "green",
    "B4": "red",
    "B5": "nir08",
    "B6": "swir16",
    "B7": "swir22",
    "B8": "pan",
    "B9": "cirrus",
    "B10": "lwir11",
    "B11": "lwir12",
}
_COMMON_NAMES = {
    "LANDSAT_4": _THEMATIC_MAPPER,
    "LANDSAT_5": _THEMATIC_MAPPER,
    "LANDSAT_7": _THEMATIC_MAPPER,
    "LANDSAT_8": _LAND_IMAGER,
    "LANDSAT_9": _LAND_IMAGER,
}


def is_mtl(name: str) -> bool:
    """Whether a file is called as the metadata file of a Landsat delivery."""
    return name.endswith(_MTL)


def of_each_delivery(mtls: Sequence[Path], rasters: Sequence[Path]) -> dict[Path, list[Path]]:
    """The rasters of a folder by their delivery: all where it is one, else by its name's start."""
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
    """The values of a metadata file by name; groups are left out, their names do not clash."""
    values: dict[str, str] = {}
    for line in path.read_text(encoding="ascii", errors="replace").replace("\0", "").splitlines():
        match = _ASSIGNMENT.match(line)
        if match and match[1] not in ("GROUP", "END_GROUP"):
            values.setdefault(match[1], match[2])
    return values


def landsat_source(mtl: Path, rasters: Sequence[Path]) -> SceneSource:
    """The scene of a Landsat delivery; bands are called as the USGS does, B1 to B11 and QA."""
    values = read_mtl(mtl)
    common = _COMMON_NAMES.get(values.get("SPACECRAFT_ID", ""), {})
    named = sorted(
        (name, path) for path in rasters if (name := _band_name(path, values)) is not None
    )
    files = [
        BandFile(str(path), (name,), (common[name],) if name in common else ())
        for name, path in sorted(named, key=lambda item: _natural(item[0]))
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
    """A share of clouds; None for what is none, and for -1, which stands for "not computed"."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if 0 <= number <= 100 else None


def _band_name(path: Path, values: dict[str, str]) -> str | None:
    """The band a file holds: by the metadata's list of files, else by the end of its name."""
    for key, value in values.items():
        if key.startswith("FILE_NAME_BAND_") and value.lower() == path.name.lower():
            return "B" + key.removeprefix("FILE_NAME_BAND_")
    match = _BAND.search(path.stem)
    return match[1].upper() if match else None


def _acquired(values: dict[str, str]) -> str | None:
    day = values.get("DATE_ACQUIRED")
    time = values.get("SCENE_CENTER_TIME", "")
    # Seven digits of a second are more than ISO 8601 readers take.
    moment = re.match(r"\d\d:\d\d:\d\d", time)
    return f"{day}T{moment[0]}Z" if day and moment else day


def _natural(name: str) -> tuple[int, str]:
    digits = re.search(r"\d+", name)
    return (int(digits[0]) if digits else 10**6, name)
