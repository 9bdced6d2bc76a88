"""Addresses without what gives access to them, for logs, errors and the state."""

import re

_USER = re.compile(r"(?<=://)[^\s/?#]*@")
_QUERY = re.compile(r"(://[^\s?]*)\?[^\s'\"<>)\]]+")
# Of some addresses only the end is told; a question mark alone may be of a pattern of files.
_END = re.compile(r"(?<=\S)\?[^\s'\"<>)\]]*=[^\s'\"<>)\]]*")


def masked(text: str) -> str:
    """A text in which ``***`` stands for each address's user and password and for its query."""
    return _END.sub("?***", _QUERY.sub(r"\1?***", _USER.sub("***@", text)))
