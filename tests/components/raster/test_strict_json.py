"""JSON that every program can read."""

import json
import math

from components.raster.strict_json import strict_json


def test_numbers_that_are_none_are_null_at_any_depth() -> None:
    value = {"a": math.nan, "b": [1.5, (math.inf, {"c": -math.inf})], "d": "NaN", "e": 2}
    text = strict_json(value, indent=1)
    assert json.loads(text, parse_constant=lambda constant: 1 / 0) == {
        "a": None,
        "b": [1.5, [None, {"c": None}]],
        "d": "NaN",
        "e": 2,
    }
