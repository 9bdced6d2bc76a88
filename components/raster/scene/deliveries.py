"""Scenes with one file per band: assignment of files to bands."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from components.raster.scene.scene import BandFile
from components.raster.scene.sensors import SensorBand, sensor_band


def band_files(
    rasters: Sequence[Path], *, band_names: tuple[str, ...] = (), band_pattern: str | None = None
) -> tuple[BandFile, ...]:
    """Returns the files of one scene, each with the name of its band.

    A file's band is the match of `band_pattern` in its name; else the one of `band_names` that
    occurs in it as a word; else the band of a known sensor that it names; else the whole name. If
    none of `band_names` occurs in any file's name, they are assigned to the files in order,
    provided that there are as many of them.

    If a band comes in several pixel sizes (`B02_10m`, `B02_20m`), the finest is named `B02`.

    Args:
        rasters: in the order of their names.
        band_names: see above.
        band_pattern: a regular expression with one group, which holds the band.
    """
    found = [_band_of(path, band_names, band_pattern) for path in rasters]
    if band_pattern is None and _name_in_order(found, band_names):
        found = [SensorBand(name) for name in band_names]
    return tuple(
        BandFile(
            str(path),
            (band.name,),
            (band.common_name,) if band.common_name else (),
            aliases=tuple(dict.fromkeys((*band.aliases, path.stem))),
        )
        for path, band in zip(rasters, finest_first_named(found), strict=True)
    )


def finest_first_named(bands: Sequence[SensorBand]) -> Sequence[SensorBand]:
    """Names the bands uniquely if one comes in several pixel sizes.

    The finest keeps its name, with `B02_10m` as an alias; the others are named by their size. Two
    of the same name and size both keep it: they are ambiguous.
    """
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    for band in bands:
        if band.gsd_m is not None:
            sizes[band.name].append(band.gsd_m)
    return [_by_size(band, sizes[band.name]) for band in bands]


def _name_in_order(found: Sequence[SensorBand], band_names: Sequence[str]) -> bool:
    """Checks whether names apply to files by order: equally many, and no file contradicts."""
    if len(found) != len(band_names) or any(band.name in band_names for band in found):
        return False
    # The name B02 for a file that calls itself B05 is a mistake; `blue` is not.
    return not any(
        sensor_band(band.name) and sensor_band(name)
        for band, name in zip(found, band_names, strict=True)
    )


def _by_size(band: SensorBand, sizes: Iterable[int]) -> SensorBand:
    if band.gsd_m is None:
        return band
    sized = f"{band.name}_{band.gsd_m}m"
    if band.gsd_m == min(sizes):
        return SensorBand(band.name, band.common_name, (*band.aliases, sized), band.gsd_m)
    return SensorBand(sized, None, (), band.gsd_m)


def _band_of(path: Path, band_names: Sequence[str], band_pattern: str | None) -> SensorBand:
    known = sensor_band(str(path))
    match = re.search(band_pattern, path.stem) if band_pattern else None
    named = match[1] if match else _word_of(path.stem, band_names)
    if named is None:
        return known or SensorBand(path.stem)
    if known is None:
        return SensorBand(named)
    # A given name may still be the sensor's own, whose other properties are known.
    same = known.name.casefold() == named.casefold()
    common, aliases = (known.common_name, known.aliases) if same else (None, (known.name,))
    return SensorBand(named, common, aliases, known.gsd_m)


def _word_of(stem: str, names: Sequence[str]) -> str | None:
    """Returns the longest of some names that occurs in a file's name as a word."""
    found = [
        name
        for name in names
        if re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", stem, re.IGNORECASE)
    ]
    return max(found, key=len, default=None)
