"""Scale and offset of an asset's bands as STAC items state them.

STAC 1.0 has them in `raster:bands`, STAC 1.1 in `bands` or the asset as `raster:scale` and
`raster:offset`; see https://github.com/stac-extensions/raster. Catalogues of Sentinel-2 often state
only the processing baseline: from 04.00 on, products store numbers that are 1000 greater.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from components.raster.scaling import UNSCALED, Scaling, scaling_of

_SENTINEL_SCALE, _SENTINEL_OFFSET = 1e-4, -0.1
_FIRST_BASELINE_WITH_OFFSET = (4, 0)
_BASELINES = ("s2:processing_baseline", "sentinel:processing_baseline")
#: Properties that state whether a catalogue has already subtracted the offset from the numbers.
_APPLIED = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
_REFLECTANCE = re.compile(r"B(0[1-9]|1[0-2]|8A)$")


def asset_scalings(
    key: str, fields: Mapping[str, Any], properties: Mapping[str, Any]
) -> tuple[Scaling, ...]:
    """Returns scale and offset of each band, or one for all; empty if the item states neither.

    Args:
        key: of the asset.
        fields: of the asset.
        properties: of the item.

    Raises:
        ValueError: the stated values cannot be applied.
    """
    applied = any(properties.get(name) is True for name in _APPLIED)
    found = _stated(fields) or _sentinel(key, fields, properties)
    if applied:  # items may still state an offset that was already subtracted
        return tuple(Scaling(scaling.scale) for scaling in found)
    return found


def _stated(fields: Mapping[str, Any]) -> tuple[Scaling, ...]:
    listed: Sequence[Mapping[str, Any]] = fields.get("raster:bands") or ()
    if listed:
        pairs = [(band.get("scale"), band.get("offset")) for band in listed]
    else:
        pairs = [_of_band(band, fields) for band in _bands(fields)]
    if all(number is None for pair in pairs for number in pair):
        return ()
    return tuple(scaling_of(*pair) for pair in pairs)


def _bands(fields: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Returns STAC 1.1's entries of an asset's bands; a single entry if it lists none."""
    listed: Sequence[Mapping[str, Any]] = fields.get("bands") or ({},)
    return listed


def _of_band(band: Mapping[str, Any], fields: Mapping[str, Any]) -> tuple[Any, Any]:
    """Returns a band's scale and offset; its own fields precede those of its asset."""
    scale, offset = (band.get(name, fields.get(name)) for name in ("raster:scale", "raster:offset"))
    return scale, offset


def _sentinel(
    key: str, fields: Mapping[str, Any], properties: Mapping[str, Any]
) -> tuple[Scaling, ...]:
    """Returns the scaling that a processing baseline implies for a reflectance band."""
    stated = next((properties[name] for name in _BASELINES if name in properties), None)
    baseline = re.match(r"(\d+)\.(\d+)", str(stated))
    if baseline is None or not _is_reflectance(key, fields):
        return ()
    since = (int(baseline[1]), int(baseline[2])) >= _FIRST_BASELINE_WITH_OFFSET
    return (Scaling(_SENTINEL_SCALE, _SENTINEL_OFFSET if since else UNSCALED.offset),)


def _is_reflectance(key: str, fields: Mapping[str, Any]) -> bool:
    """Checks whether an asset is one band of reflectance, not a picture, mask or classification."""
    bands = fields.get("eo:bands") or _bands(fields)
    names = (key, *(str(bands[0].get(name)) for name in ("name", "common_name", "eo:common_name")))
    is_named = any(name in bands[0] for name in ("common_name", "eo:common_name"))
    return len(bands) == 1 and (is_named or any(map(_REFLECTANCE.search, names)))
