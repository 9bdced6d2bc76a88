"""Scale and offset stated in metadata beside the files: Landsat's MTL, Sentinel-2's MTD.

Landsat (USGS, "Landsat 8-9 Collection 2 Level 2 Science Product Guide"): surface reflectance and
temperature for Level 2; for Level 1, reflectance at the top of the atmosphere without a correction
for the sun's elevation, or else radiance. Sentinel-2 (ESA, "Products Specification Document"):
`(number + BOA_ADD_OFFSET) / BOA_QUANTIFICATION_VALUE`, for Level 1C with `RADIO_ADD_OFFSET` and
`QUANTIFICATION_VALUE`; products before baseline 04.00 have no offset.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from components.raster.location import is_remote
from components.raster.reasons import Reason
from components.raster.scaling import Scaling, scaling_of
from components.raster.scene.landsat import is_mtl, listed_label, read_mtl
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import BandFile, FoundScenes, SceneSource
from components.raster.scene.sensors import landsat_label

#: Prefixes of names in an MTL file, by preference of the quantity.
_QUANTITIES = ("TEMPERATURE", "REFLECTANCE", "RADIANCE")
#: Prefixes of band labels before the number, except for surface temperatures.
_REFLECTANCE = re.compile(r"^(?:SR_|TOA_)?B(?=\d)")
_SENTINEL_BAND = re.compile(r"(?:^|_)(B\d\d|B8A|AOT|WVP)(?:_\d+m)?$", re.IGNORECASE)
#: Sentinel-2's bands in the order of their `band_id`.
_BAND_IDS = (
    *("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A"),
    *("B09", "B10", "B11", "B12"),
)
_OFFSETS = ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET")
_DIVISORS = ("QUANTIFICATION_VALUE", "BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE")


class Calibration:
    """Scale and offset from metadata beside local files; each metadata file is read once."""

    def __init__(self) -> None:
        self._mtls: dict[Path, list[Mapping[str, str]]] = {}
        self._products: dict[Path, Mapping[str, Scaling]] = {}

    def of(self, path: str) -> tuple[Scaling, ...]:
        """Returns scale and offset of a file's single band; empty if no metadata states them.

        Raises:
            ValueError: the metadata is broken, or its values cannot be applied.
            OSError: it cannot be read.
        """
        file = Path(path)
        return self._landsat(file) or self._sentinel(file)

    def files(self, path: str) -> list[str]:
        """Returns the metadata files that may state scale and offset of a local file."""
        file = Path(path)
        if is_remote(path):
            return []
        found: list[Path] = []
        if landsat_label(file.stem):
            found += _mtl_files(file.parent)
        if _SENTINEL_BAND.search(file.stem):
            found += [it for folder in _product_folders(file) for it in _product_files(folder)[:1]]
        return [str(it) for it in found]

    def _landsat(self, file: Path) -> tuple[Scaling, ...]:
        if not landsat_label(file.stem):  # listing the folder for each of many chips is slow
            return ()
        folder = file.parent
        if folder not in self._mtls:
            self._mtls[folder] = list(map(read_mtl, _mtl_files(folder)))
        several = len(self._mtls[folder]) > 1
        for values in self._mtls[folder]:
            band = mtl_key(file, values, by_name=not several)
            if band is not None:
                return landsat_scaling(values, band)
        return ()

    def _sentinel(self, file: Path) -> tuple[Scaling, ...]:
        match = _SENTINEL_BAND.search(file.stem)
        if match is None:
            return ()
        for folder in _product_folders(file):
            if folder not in self._products:
                metadata = _product_files(folder)
                self._products[folder] = sentinel_scalings(metadata[0]) if metadata else {}
            scaling = self._products[folder].get(match[1].upper())
            if scaling is not None:
                return (scaling,)
        return ()


def calibrated(found: FoundScenes) -> FoundScenes:
    """Adds scale and offset from the metadata beside their files to scenes."""
    calibration, sources, rejects = Calibration(), [], list(found.rejects)
    for source in found.sources:
        try:
            sources.append(calibrated_scene(source, calibration))
        except SceneRejected as rejected:
            rejects.append(rejected)
    return FoundScenes(tuple(sources), tuple(rejects), found.ignored)


def calibrated_scene(source: SceneSource, calibration: Calibration) -> SceneSource:
    """Adds scale and offset from the metadata beside its files to a scene.

    Raises:
        SceneRejected: the metadata cannot be used.
    """
    try:
        files = tuple(_calibrated(file, calibration) for file in source.files)
    except (OSError, ValueError) as error:
        detail = f"the metadata beside {source.files[0].path} cannot be used: {error}"
        raise SceneRejected(source.scene_id, Reason.BAD_METADATA, detail) from error
    return replace(source, files=files)


def mtl_key(file: Path, values: Mapping[str, str], *, by_name: bool) -> str | None:
    """Returns a file's band as named in the keys of an MTL file (`4`, `ST_B10`), found in its list
    of files, else at the end of the file's name."""
    label = listed_label(file, values) or (landsat_label(file.stem) if by_name else None)
    return None if label is None else _REFLECTANCE.sub("", label)


def landsat_scaling(values: Mapping[str, str], band: str) -> tuple[Scaling, ...]:
    """Returns scale and offset of a Landsat band; empty if the MTL file has none."""
    for quantity in _QUANTITIES:
        scale = values.get(f"{quantity}_MULT_BAND_{band}")
        if scale is not None:
            return (scaling_of(scale, values.get(f"{quantity}_ADD_BAND_{band}")),)
    return ()


def sentinel_scalings(metadata: Path) -> dict[str, Scaling]:
    """Returns scale and offset of the bands of a Sentinel-2 product, AOT and WVP among them.

    Raises:
        ValueError: the file is not XML, or its values cannot be applied.
    """
    try:
        elements = list(ElementTree.parse(metadata).iter())
    except ElementTree.ParseError as error:
        raise ValueError(f"{metadata} is broken: {error}") from error
    by_name = [(element.tag.rpartition("}")[2], element) for element in elements]
    divisors = {name: _number(it) for name, it in by_name if name.endswith("QUANTIFICATION_VALUE")}
    offsets = {it.get("band_id"): _number(it) for name, it in by_name if name in _OFFSETS}
    found = {}
    divisor = next((divisors[name] for name in _DIVISORS if name in divisors), None)
    if divisor is not None:
        for number, band in enumerate(_BAND_IDS):
            found[band] = _divided(divisor, offsets.get(str(number), 0.0))
    for band in ("AOT", "WVP"):
        if (own := divisors.get(f"{band}_QUANTIFICATION_VALUE")) is not None:
            found[band] = _divided(own, 0.0)
    return found


def _calibrated(file: BandFile, calibration: Calibration) -> BandFile:
    if file.scalings or is_remote(file.path):
        return file
    return replace(file, scalings=calibration.of(file.path))


def _mtl_files(folder: Path) -> list[Path]:
    return sorted(it for it in folder.iterdir() if is_mtl(it.name) and it.is_file())


def _product_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("MTD_MSIL*.xml"))


def _product_folders(file: Path) -> Iterator[Path]:
    """Yields the folders that may hold a file's product metadata: its own, or GRANULE's parent."""
    yield file.parent
    above = (folder.parent for folder in file.absolute().parents if folder.name == "GRANULE")
    yield from above


def _number(element: ElementTree.Element) -> float:
    return float((element.text or "").strip())


def _divided(divisor: float, offset: float) -> Scaling:
    """Converts `(number + offset) / divisor` to a scale and an offset."""
    if not divisor:
        raise ValueError("a quantification value of 0 cannot be applied")
    return scaling_of(1 / divisor, offset / divisor)
