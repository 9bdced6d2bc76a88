"""Which names of folders are numbers of versions: those that TensorFlow Serving takes as well."""

#: A version is an int64 in TensorFlow Serving's API, and not negative.
LARGEST_VERSION = 2**63 - 1


def version_number(name: str) -> int | None:
    """The number in a folder's name or a request; None where it is no version's.

    Only the digits 0 to 9 count, leading zeros do not: `007` is version 7. Above
    `LARGEST_VERSION` there is no version.
    """
    if not (name.isascii() and name.isdigit()):
        return None
    digits = name.lstrip("0") or "0"
    if len(digits) > len(str(LARGEST_VERSION)) or int(digits) > LARGEST_VERSION:
        return None
    return int(digits)


def looks_like_a_version(name: str) -> bool:
    """Whether people would read a number in a name that may not be a version's (`٧`, `+7`)."""
    return name.strip().lstrip("+").isnumeric()
