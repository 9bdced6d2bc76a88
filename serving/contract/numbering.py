"""Version numbers in folder names, as TensorFlow Serving parses them."""

#: A version is a non-negative int64 in TensorFlow Serving's API.
LARGEST_VERSION = 2**63 - 1


def version_number(name: str) -> int | None:
    """Parses the version number in a folder name or a request; None if it is not one.

    Only the digits 0 to 9 are accepted, and leading zeros are ignored: `007` is version 7. Numbers
    above `LARGEST_VERSION` are not versions.

    >>> version_number("007")
    7
    >>> print(version_number("7.tmp"))
    None
    """
    if not (name.isascii() and name.isdigit()):
        return None
    digits = name.lstrip("0") or "0"
    if len(digits) > len(str(LARGEST_VERSION)) or int(digits) > LARGEST_VERSION:
        return None
    return int(digits)


def looks_like_a_version(name: str) -> bool:
    """Checks whether a person would read a number in a name (`٧`, `+7`)."""
    return name.strip().lstrip("+").isnumeric()
