"""Test split as GeoJSON (RFC 7946): a point for each example, with its truth and answer."""

import json
from collections.abc import Iterable
from typing import TextIO

from components.evaluation.predictions import PredictionRow
from pipelines.page.predicted import has_place, known

GEOJSON_FILE = "test_split.geojson"
_DIGITS = 7  # of degrees: about a centimetre


def write_geojson(rows: Iterable[PredictionRow], file: TextIO) -> int:
    """Writes the examples that have a place, one a line, as they come; returns their number."""
    count = 0
    file.write('{"type": "FeatureCollection", "features": [')
    for row in filter(has_place, rows):
        file.write(",\n" if count else "\n")
        json.dump(_feature(row), file, ensure_ascii=False, allow_nan=False)
        count += 1
    file.write("\n]}\n")
    return count


def _feature(row: PredictionRow) -> dict[str, object]:
    assert row.longitude is not None
    assert row.latitude is not None
    place = [round(row.longitude, _DIGITS), round(row.latitude, _DIGITS)]
    found = {
        "truth": row.truth,
        "answer": row.answer,
        "confidence": _rounded(row.confidence),
        "score": _rounded(row.score),
        "group": row.group,
    }
    return {
        "type": "Feature",
        "id": row.key,
        "geometry": {"type": "Point", "coordinates": place},
        "properties": {name: value for name, value in found.items() if value is not None},
    }


def _rounded(value: float | None) -> float | None:
    value = known(value)
    return None if value is None else round(value, 4)
