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

    A file's band is what `band_pattern` finds in its name; else the one of `band_names` that
    stands in it as a word; else what it means among the names of known sensors; else the whole
    name. Where none of `band_names` stands in any file's name they are given to the files in
    their order, if there are as many of them.

    Of a band in several pixel sizes (`B02_10m`, `B02_20m`) the finest is called `B02`.

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
    """Names the bands uniquely where one comes in several pixel sizes.

    The finest keeps its name and is called `B02_10m` as well; others are called by their size.
    Two of one name and size keep it both: they are ambiguous.
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
    # B02 for a file that calls itself B05 is a mistake, and `blue` is not.
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
    # A name that was given may still be the sensor's own, which brings what is known of it.
    same = known.name.casefold() == named.casefold()
    common, aliases = (known.common_name, known.aliases) if same else (None, (known.name,))
    return SensorBand(named, common, aliases, known.gsd_m)


def _word_of(stem: str, names: Sequence[str]) -> str | None:
    """Returns the longest of some names that a file's name has as a word of its own."""
    found = [
        name
        for name in names
        if re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", stem, re.IGNORECASE)
    ]
    return max(found, key=len, default=None)
