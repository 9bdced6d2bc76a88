"""Number of values and depth of a JSON document, checked before it is parsed."""

import numpy as np

from serving.server.errors import Code, ServingError

_AT_ONCE = 1 << 20  # bytes scanned in one step, so that the scan itself takes little memory
_QUOTE = ord('"')
# Meaning of a JSON byte outside strings: one level deeper or back, or one more value.
_DEEPER = np.zeros(256, np.int8)
_DEEPER[list(b"[{")] = 1
_DEEPER[list(b"]}")] = -1
_IS_VALUE = np.zeros(256, np.bool_)
_IS_VALUE[list(b"[{,")] = True


def check_structure(body: bytes | bytearray, max_values: int, max_depth: int) -> None:
    """Refuses JSON with too many values, or nested too deeply, by its punctuation.

    Python values take up to forty times the space of their JSON. The time of this check grows only
    with the document's length.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    # Nearly every request is small, or consists of a few long strings: then counting is enough.
    openings = body.count(b"[") + body.count(b"{")
    if openings <= max_depth and openings + body.count(b",") < max_values:
        return
    values, depth, deepest, in_string = 0, 0, 0, False
    # Without escaped quotes, the remaining ones begin and end strings.
    marks = np.frombuffer(body.replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
    for start in range(0, len(marks), _AT_ONCE):
        part = marks[start : start + _AT_ONCE]
        inside = np.logical_xor.accumulate(part == _QUOTE) ^ in_string
        outside = part[~inside]
        levels = depth + _DEEPER[outside].cumsum(dtype=np.int64)
        values += int(np.count_nonzero(_IS_VALUE[outside]))
        deepest = max(deepest, int(levels.max(initial=depth)))
        depth = int(levels[-1]) if len(levels) else depth
        in_string = bool(inside[-1])
    if values >= max_values:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"the JSON has more than {max_values} values (max_json_values)",
        )
    if deepest > max_depth:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"the JSON is nested {deepest} deep, more than {max_depth} (max_json_depth)",
        )
