"""Addresses without credentials, for messages and for records that runs keep."""

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_HIDDEN = "***"
#: Characters that end an address in a text.
_STOPS = r"\s'\"<>)\]"
_USER = re.compile(r"(?<=://)[^\s/?#]*@")
_QUERY = re.compile(rf"(://[^\s?]*)\?[^{_STOPS}]+")
# Some messages quote only the end of an address; a question mark alone may be a file pattern's.
_END = re.compile(rf"(?<=\S)\?[\w.~%-]+=[^{_STOPS}]*")
#: Names of parameters of an address, or of a form, whose values grant access.
_SECRET_NAMES = (
    r"x-(?:amz|goog|oss)-[\w-]+|sig|signature|awsaccesskeyid|googleaccessid|key-pair-id|policy"
    r"|(?:[\w-]*[_-])?(?:token|secret|password|passwd|api[_-]?key)|subscription[_-]key|hmac"
)
_PARAMETER = re.compile(rf"(?i)(?<![\w-])({_SECRET_NAMES})=(?!\*\*\*)[^&;,{_STOPS}]+")
#: Other parts of a signed address that change with every signature.
_SIGNING = re.compile(
    rf"(?i)(?:{_SECRET_NAMES}|expires|key|s[vrpte]|sks|skt|ske|skv|skoid|sktid|spr|sip)$"
)


def masked(text: str) -> str:
    """Replaces each address's user, password and query, and the values of parameters that grant
    access, by `***`.

    >>> masked("read https://me:secret@host/a.tif?sig=abc")
    'read https://***@host/a.tif?***'
    """
    text = _END.sub(f"?{_HIDDEN}", _QUERY.sub(rf"\1?{_HIDDEN}", _USER.sub(f"{_HIDDEN}@", text)))
    return _PARAMETER.sub(rf"\1={_HIDDEN}", text)


def masked_tree(value: Any) -> Any:
    """Masks every text in plain JSON values; keys stay."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {name: masked_tree(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked_tree(item) for item in value]
    return value


def unsigned(address: str) -> str:
    """Returns an address without credentials, which stays the same when it is signed again.

    Drops user, password and the query parameters of the signature.

    >>> unsigned("https://me:secret@host/a.tif")
    'https://host/a.tif'
    """
    if "@" not in address and "?" not in address:
        return address
    parts = urlsplit(address)
    kept = [one for one in parts.query.split("&") if not _SIGNING.match(one.partition("=")[0])]
    return urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "&".join(kept), parts.fragment)
    )
