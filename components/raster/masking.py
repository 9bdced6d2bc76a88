"""Addresses without what gives access to them, for whatever people read or runs leave behind."""

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_HIDDEN = "***"
#: What ends an address in a text.
_STOPS = r"\s'\"<>)\]"
_USER = re.compile(r"(?<=://)[^\s/?#]*@")
_QUERY = re.compile(rf"(://[^\s?]*)\?[^{_STOPS}]+")
# Of some addresses only the end is told; a question mark alone may be of a pattern of files.
_END = re.compile(rf"(?<=\S)\?[\w.~%-]+=[^{_STOPS}]*")
#: Names of the parameters of an address, or of a form, whose values give access.
_SECRET_NAMES = (
    r"x-(?:amz|goog|oss)-[\w-]+|sig|signature|awsaccesskeyid|googleaccessid|key-pair-id|policy"
    r"|(?:[\w-]*[_-])?(?:token|secret|password|passwd|api[_-]?key)|subscription[_-]key|hmac"
)
_PARAMETER = re.compile(rf"(?i)(?<![\w-])({_SECRET_NAMES})=(?!\*\*\*)[^&;,{_STOPS}]+")
#: What else stands in a signed address and changes whenever it is signed anew.
_SIGNING = re.compile(
    rf"(?i)(?:{_SECRET_NAMES}|expires|key|s[vrpte]|sks|skt|ske|skv|skoid|sktid|spr|sip)$"
)


def masked(text: str) -> str:
    """A text in which `***` stands for each address's user, password and query, and for the values
    of parameters that give access, wherever they stand."""
    text = _END.sub(f"?{_HIDDEN}", _QUERY.sub(rf"\1?{_HIDDEN}", _USER.sub(f"{_HIDDEN}@", text)))
    return _PARAMETER.sub(rf"\1={_HIDDEN}", text)


def masked_tree(value: Any) -> Any:
    """Plain values of JSON with every text masked; names of entries stay."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {name: masked_tree(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked_tree(item) for item in value]
    return value


def unsigned(address: str) -> str:
    """An address that names the same thing without access to it, however often it is signed anew.

    User and password go, and of the query what a signature consists of.
    """
    if "@" not in address and "?" not in address:
        return address
    parts = urlsplit(address)
    kept = [one for one in parts.query.split("&") if not _SIGNING.match(one.partition("=")[0])]
    return urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "&".join(kept), parts.fragment)
    )
