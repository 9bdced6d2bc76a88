"""Band names of Sentinel-2, Landsat and HLS products, from their file names.

Common names are those of STAC: https://github.com/stac-extensions/eo#common-band-names
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

_SENTINEL_2 = {
    "B01": "coastal",
    "B02": "blue",
    "B03": "green",
    "B04": "red",
    "B05": "rededge071",
    "B06": "rededge075",
    "B07": "rededge078",
    "B08": "nir",
    "B8A": "nir08",
    "B09": "nir09",
    "B10": "cirrus",
    "B11": "swir16",
    "B12": "swir22",
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
_THEMATIC_MAPPER = {
    "B1": "blue",
    "B2": "green",
    "B3": "red",
    "B4": "nir08",
    "B5": "swir16",
    "B6": "lwir",
    "B6_VCID_1": "lwir",
    "B6_VCID_2": "lwir",
    "B7": "swir22",
    "B8": "pan",
}
_SCANNER_OF_LANDSAT_1_TO_3 = {"B4": "green", "B5": "red", "B6": "nir08", "B7": "nir09"}
_SCANNER_OF_LANDSAT_4_AND_5 = {"B1": "green", "B2": "red", "B3": "nir08", "B4": "nir09"}
# HLS writes the bands of Landsat 8 and 9 with two digits.
_HLS_LANDSAT = {f"B{int(name[1:]):02}": common for name, common in _LAND_IMAGER.items()}

_TWO_DIGITS = re.compile(r"(?:^|[_.-])(B0[1-9]|B1[0-2]|B8A)(?:_([126]0)m)?$", re.IGNORECASE)
_MAPS_OF_SENTINEL_2 = re.compile(r"_(AOT|SCL|TCI|WVP|CLD|SNW)(?:_([126]0)m)?$", re.IGNORECASE)
_IS_SENTINEL_2 = re.compile(
    r"T\d{2}[A-Z]{3}_\d{8}T\d{6}|(?:^|[_/])S2[A-D]_|\.SAFE/|HLS\.S30", re.IGNORECASE
)
_IS_HLS_LANDSAT = re.compile(r"HLS\.L30", re.IGNORECASE)
_IS_LANDSAT = re.compile(r"^L([COTEM])(\d{2}_|\d(?=\d{13}))", re.IGNORECASE)
_LANDSAT_BAND = re.compile(
    r"(?:^|_)((?:SR|ST|TOA)_[A-Z]\w*|B(?:1[01]|[1-9])(?:_VCID_[12])?|BQA|QA(?:_[A-Z]+)*|[SV][AZ]A)$",
    re.IGNORECASE,
)
_PRODUCT = re.compile(r"^(?:SR|ST|TOA)_(?=B\d)")


@dataclass(frozen=True)
class SensorBand:
    """A band identified by its file name.

    Attributes:
        name: the sensor maker's, such as B02 or B10.
        common_name: shared by sensors, if the file's name also identifies the sensor.
        aliases: other names, such as ST_B10.
        gsd_m: pixel size, if the file's name states it.
    """

    name: str
    common_name: str | None = None
    aliases: tuple[str, ...] = ()
    gsd_m: int | None = None


def sensor_band(path: str) -> SensorBand | None:
    """Returns the band that a file's name identifies; None if the name has no known form.

    >>> sensor_band("T32TQM_20260621T101559_B8A_20m.jp2")
    SensorBand(name='B8A', common_name='nir08', aliases=(), gsd_m=20)
    >>> print(sensor_band("north.tif"))
    None
    """
    stem = PurePosixPath(path).stem
    landsat = _IS_LANDSAT.match(stem)
    if landsat:
        label = landsat_label(stem)
        return _labelled(label, _landsat_names(landsat[1], landsat[2])) if label else None
    is_sentinel = _IS_SENTINEL_2.search("/".join(PurePosixPath(path).parts)) is not None
    match = _TWO_DIGITS.search(stem) or (_MAPS_OF_SENTINEL_2.search(stem) if is_sentinel else None)
    if match is None:
        return None
    names: Mapping[str, str] = {}
    if _IS_HLS_LANDSAT.search(stem):
        names = _HLS_LANDSAT
    elif is_sentinel:
        names = _SENTINEL_2
    name = match[1].upper()
    return SensorBand(name, names.get(name), gsd_m=int(match[2]) if match[2] else None)


def landsat_band(label: str, spacecraft: str, sensor: str) -> SensorBand:
    """Returns the band of a Landsat product by its own label, such as `B4`, `SR_B4` or `QA_PIXEL`.

    Args:
        label: of the file.
        spacecraft: as in the metadata, such as `LANDSAT_8`.
        sensor: as in the metadata, such as `OLI_TIRS`.
    """
    kind = "M" if sensor.upper().startswith("MSS") else ""
    return _labelled(label, _landsat_names(kind, spacecraft.rpartition("_")[2]))


def landsat_label(stem: str) -> str | None:
    """Returns the label at the end of a Landsat file name: `B4`, `SR_B4`, `QA_PIXEL`."""
    match = _LANDSAT_BAND.search(stem)
    return match[1].upper() if match else None


def common_name_of(name: str, sensor: str) -> str | None:
    """Returns a band's common name, by the maker's name and the sensor as written in metadata.

    >>> common_name_of("B08", "Sentinel-2A"), common_name_of("B5", "LANDSAT_8")
    ('nir', 'nir08')
    """
    landsat = re.match(r"LANDSAT[_-]?(\d)(.*)", sensor, re.IGNORECASE)
    if landsat:
        kind = "M" if "MSS" in landsat[2].upper() else ""
        return _landsat_names(kind, landsat[1]).get(_PRODUCT.sub("", name))
    is_sentinel = re.match(r"SENTINEL[_-]?2", sensor, re.IGNORECASE)
    return _SENTINEL_2.get(name) if is_sentinel else None


def _labelled(label: str, names: Mapping[str, str]) -> SensorBand:
    name = _PRODUCT.sub("", label)
    band = SensorBand(name, names.get(name))
    return band if name == label else replace(band, aliases=(label,))


def _landsat_names(kind: str, number: str) -> Mapping[str, str]:
    """Returns a Landsat's common names by band; kind M is the multispectral scanner."""
    satellite = int(number.strip("_")) if number.strip("_").isdecimal() else 0
    if kind.upper() == "M":
        return _SCANNER_OF_LANDSAT_1_TO_3 if satellite <= 3 else _SCANNER_OF_LANDSAT_4_AND_5
    if satellite in (8, 9):
        return _LAND_IMAGER
    return _THEMATIC_MAPPER if satellite in (4, 5, 7) else {}
