"""Translation of exceptions of GDAL, PROJ, GEOS, pyogrio, pystac and other readers.

Each library has its own exceptions, often without a common base class, and some raise built-in
ones. Code calls them within `translated`, which states what a failure means there: a reject of one
item, or an error of a whole source. The sentence is the library's, without its dumps.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from components.raster.errors import DataError, SkymillError
from components.raster.full_disk import DiskFull, is_full_disk, message

#: Exceptions that are defined in these packages, or derive from one that is.
_PACKAGES = frozenset(
    {"_csv", "affine", "pyarrow", "pyogrio", "pystac", "pystac_client", "rasterio", "shapely"}
)
#: Built-in exceptions that they raise: for files, values out of range, deep nesting (RecursionError
#: is a RuntimeError), and SystemError if an extension lost the original exception.
_BUILT_IN = (OSError, ValueError, RuntimeError, ArithmeticError, SystemError)
#: Exceptions in readers of JSON and XML if an entry is missing or has the wrong type, or the text
#: is not XML (ParseError is a SyntaxError).
_OF_DOCUMENTS = (LookupError, TypeError, AttributeError, SyntaxError)

_LONGEST = 200
_PROJJSON = re.compile(r"""['"]?\{\s*"\$schema".*?"name":\s*"([^"]*)".*?(?:\}['"]|$)""")
_WKT = re.compile(r"""['"]?\b[A-Z_]{5,}\["([^"]*)".*(?:\]['"]?|$)""")
_JAVA_LIKE = re.compile(r"^(?:\w+(?:Exception|Error): )+")


class LibraryError(DataError):
    """A library failed on one item; the message is the library's reason."""


@contextmanager
def translated(
    to: Callable[[str], SkymillError] = LibraryError, *, document: bool = False
) -> Iterator[None]:
    """Translates a library's exception into a project error; project errors pass unchanged.

    A LibraryError from an inner call only states that something failed, so it is translated to its
    meaning here too.

    Args:
        to: makes the error from the reason, a clause without its full stop.
        document: the block takes apart JSON or XML of unknown structure, so missing keys and wrong
            types are faults of the document too.

    Raises:
        SkymillError: from `to`, with the library's exception as its cause.
        DiskFull: there is no space left, which is not a fault of the item.
    """
    try:
        yield
    except LibraryError as error:
        if to is LibraryError:
            raise
        raise to(str(error)) from error
    except Exception as error:
        if is_full_disk(error):
            raise DiskFull(message(error, {})) from error
        if not _is_library_error(error, document):
            raise
        raise to(reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    """Returns a library's reason: its deepest cause on one line, names in place of definitions."""
    deepest = error
    while isinstance(deepest.__cause__, Exception):
        deepest = deepest.__cause__
    if isinstance(deepest, RecursionError):
        return "it is nested too deeply"
    if isinstance(deepest, KeyError):
        return f"it has no {deepest}"
    text = str(deepest) or str(error) or type(deepest).__name__
    if type(deepest).__module__ == "builtins" and isinstance(deepest, OSError):
        text = deepest.strerror or text  # without the number, and the path that callers name
    text = _JAVA_LIKE.sub("", " ".join(text.split()))
    text = _WKT.sub(r"'\1'", _PROJJSON.sub(r"'\1'", text)).rstrip(".")
    return text if len(text) <= _LONGEST else _without_middle(text)


def _without_middle(text: str) -> str:
    """Shortens a text in the middle: its start says what failed, its end holds the root cause."""
    half = _LONGEST // 2
    return f"{text[:half].rsplit(' ', 1)[0]} ... {text[-half:].split(' ', 1)[-1]}"


def _is_library_error(error: Exception, document: bool) -> bool:
    if isinstance(error, SkymillError):
        return False
    if isinstance(error, (*_BUILT_IN, *_OF_DOCUMENTS) if document else _BUILT_IN):
        return True
    return any(base.__module__.partition(".")[0] in _PACKAGES for base in type(error).__mro__)
