"""Sentinel-2 products in ESA's own folders (SAFE): a file for every band and pixel size.

The format is that of ESA's "Sentinel-2 Products Specification Document".
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from components.raster.scene.deliveries import band_files
from components.raster.scene.scene import SceneSource

_METADATA = re.compile(r"MTD_MSIL(?:1C|2A)\.xml")
_IMAGES = re.compile(r"GRANULE/([^/]+)/IMG_DATA(?:/R\d\dm)?")
_MOMENT = re.compile(r"_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)")
_CLOUD_COVER = re.compile(r"<Cloud_Coverage_Assessment>\s*([\d.]+)\s*<")
_SPACECRAFT = re.compile(r"<SPACECRAFT_NAME>\s*([\w-]+)\s*<")


def is_product_metadata(name: str) -> bool:
    """Checks whether a file is named like the metadata of a product of level 1C or 2A."""
    return _METADATA.fullmatch(PurePosixPath(name).name) is not None


def granule_of(folder: str) -> str | None:
    """Returns the granule whose images are in a folder below a product; None for other folders."""
    match = _IMAGES.fullmatch(folder)
    return match[1] if match else None


def safe_source(metadata: Path, images: Sequence[Path], *, granule: str | None) -> SceneSource:
    """Builds the scene of a granule.

    Bands are named B01 to B12 and B8A, each at its finest pixel size; `B02_20m` is a coarser copy.
    Level 2A also has AOT, SCL, TCI and WVP.

    Args:
        metadata: of the product.
        images: of the granule, all pixel sizes, in the order of their paths.
        granule: name, if the product has several.
    """
    text = metadata.read_text(encoding="utf-8", errors="replace")
    cover, spacecraft = _CLOUD_COVER.search(text), _SPACECRAFT.search(text)
    name = metadata.absolute().parent.name.removesuffix(".SAFE")
    moment = _MOMENT.search(images[0].stem) or _MOMENT.search(name)
    return SceneSource(
        scene_id=f"{name}/{granule}" if granule else name,
        files=band_files(images),
        acquired="{}-{}-{}T{}:{}:{}Z".format(*moment.groups()) if moment else None,
        sensor=f"{spacecraft[1]}_MSI" if spacecraft else None,
        cloud_cover_percent=float(cover[1]) if cover else None,
    )
