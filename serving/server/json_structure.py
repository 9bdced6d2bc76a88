"""How much there is in a JSON document, told before it is parsed."""

import re

import numpy as np

from serving.server.errors import Code, ServingError

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
# What becomes of a byte of JSON outside strings: +1 or -1 for brackets, 0 for a comma, or nothing.
_NO_MARKS = bytes(set(range(256)) - set(b"[]{},"))
_MARKS = bytes.maketrans(b"[]{},", bytes([1, 255, 1, 255, 0]))


def check_structure(body: bytes | bytearray, max_values: int, max_depth: int) -> None:
    """Refuse JSON of too many values, or nested too deeply, by its punctuation alone.

    Python's values take up to forty times the space of their JSON.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    # Nearly every request is so small, or a few long strings, that counting is enough.
    openings = body.count(b"[") + body.count(b"{")
    if openings <= max_depth and openings + body.count(b",") < max_values:
        return
    marks = np.frombuffer(_STRING.sub(b"", body).translate(_MARKS, _NO_MARKS), np.int8)
    values = np.count_nonzero(marks >= 0)
    if values >= max_values:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"the JSON has more than {max_values} values (max_json_values)",
        )
    depth = int(marks.cumsum(dtype=np.int32).max(initial=0))
    if depth > max_depth:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"the JSON is nested {depth} deep, more than {max_depth} (max_json_depth)",
        )
