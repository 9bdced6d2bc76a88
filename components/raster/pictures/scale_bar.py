"""Lengths of scale bars."""

import math


def round_length(most_m: float) -> float:
    """Returns the largest 1, 2 or 5 times a power of ten that is not above a length.

    >>> round_length(1234), round_length(0.7)
    (1000.0, 0.5)
    """
    power = 10.0 ** math.floor(math.log10(most_m))
    return max(step * power for step in (1, 2, 5) if step * power <= most_m)


def length_text(length_m: float) -> str:
    """Formats a length in metres or kilometres.

    >>> length_text(500), length_text(2000)
    ('500 m', '2 km')
    """
    return f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
