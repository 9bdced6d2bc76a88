"""Scale and offset of the stored numbers of a dataset's bands: `scalings.json` beside the splits.

The file exists if numbers were kept as stored because all rasters agreed.
"""

import json
from collections.abc import Mapping

from components.raster.errors import DataError
from components.raster.scaling import Scaling, scaling_of

SCALINGS_FILE = "scalings.json"

#: By band; bands with neither scale nor offset are left out.
BandScalings = Mapping[str, Scaling]


def scalings_to_json(scalings: BandScalings) -> str:
    """Returns the content of `scalings.json`."""
    return json.dumps(dict(sorted(scalings.items())), ensure_ascii=False, indent=1) + "\n"


def scalings_from_json(text: str) -> dict[str, Scaling]:
    """Inverts `scalings_to_json`; raises DataError if `text` holds no scalings."""
    try:
        return {band: scaling_of(*pair) for band, pair in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{SCALINGS_FILE} holds no scalings ({error}): run ingest again") from error


def described(scalings: BandScalings) -> str:
    """Describes scalings band by band, for people."""
    each = (f"{band}: {scaling}" for band, scaling in sorted(scalings.items()))
    return ", ".join(each) or "no scale and no offset"
