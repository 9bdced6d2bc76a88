"""Text from other programs: decoding of its bytes, and one Unicode form for names."""

import codecs
import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field

# The little-endian mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def composed(text: str) -> str:
    """Returns a name in Unicode's normal form C, in which `é` is always one character.

    File systems and editors differ in this, and the difference is invisible.

    >>> len("e\u0301"), len(composed("e\u0301"))
    (2, 1)
    """
    return unicodedata.normalize("NFC", text)


def readable(name: str) -> str:
    """Returns a file name as valid Unicode text, whatever bytes the name has.

    >>> readable(b"Stra\\xdfe.jpg".decode("utf-8", "surrogateescape"))
    'Stra\\\\xdfe.jpg'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def join_names(names: Iterable[str], separator: str) -> str:
    """Joins names into one text, which `split_names` splits again.

    A backslash precedes each backslash, and each first character of the separator, within a name.

    >>> print(join_names(["road", "a|b"], "|"))
    road|a\\|b
    """
    special = re.compile(rf"[\\{re.escape(separator[0])}]")
    return separator.join(special.sub(r"\\\g<0>", name) for name in names)


def split_names(text: str, separator: str) -> tuple[str, ...]:
    """Splits a text at separators without a preceding backslash; drops empty names.

    A backslash before any other character than a backslash or the separator is part of a name.

    >>> split_names(join_names(["road", "a|b"], "|"), "|")
    ('road', 'a|b')
    """
    first, rest = re.escape(separator[0]), separator[1:]
    parts = [it[0] for it in re.finditer(rf"(?:\\[\\{first}]|[^{first}])+", text, re.DOTALL)]
    plain = [part.removeprefix(rest) if at else part for at, part in enumerate(parts)]
    return tuple(re.sub(rf"\\([\\{first}])", r"\1", part) for part in plain)


#: A name of a class in a configuration or a contract, in the form in which names are compared.
ClassName = Annotated[str, Field(min_length=1), AfterValidator(composed)]


def decoded(data: bytes, encoding: str | None = None) -> str:
    """Decodes a file's text: by the given encoding, else by its byte order mark, else as UTF-8.

    Raises:
        ValueError: it is not in that encoding; the message names the setting to change.
    """
    for mark, marked in _MARKS:
        if encoding is None and data.startswith(mark):
            return data[len(mark) :].decode(marked)
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        remedy = "set encoding to its own" if encoding else "set encoding, such as cp1252"
        line = data.count(b"\n", 0, error.start) + 1
        where = f"{data[error.start : error.start + 1].hex()} at byte {error.start}"
        raise ValueError(
            f"line {line} is not in {encoding or 'UTF-8'} ({where}): {remedy}"
        ) from None
    if "\0" in text:
        raise ValueError("it holds null characters, as UTF-16 does: set encoding: utf-16-le")
    return text.removeprefix("\ufeff")


def _known_encoding(name: str) -> str:
    try:
        "".encode(name)
    except LookupError as error:
        raise ValueError(f"{name!r} is not an encoding; utf-8, cp1252 and gbk are some") from error
    return name


#: An encoding of text in a configuration.
Encoding = Annotated[str, AfterValidator(_known_encoding)]
