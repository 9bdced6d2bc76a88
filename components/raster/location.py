"""Storage locations as users write them: paths or URIs."""

import os
import re
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, ValidationInfo

#: `file:///path`, `file://localhost/path` and `file:/path` (RFC 8089); a scheme has no case.
_LOCAL_SCHEME = re.compile(r"file:(?://(?:localhost(?=/))?|(?=/))", re.IGNORECASE)


def is_remote(location: str) -> bool:
    """Checks whether a location is a URI of an object store or a server, not a local path.

    >>> is_remote("s3://bucket/scenes"), is_remote("file:///scenes")
    (True, False)
    """
    return "://" in location and not _LOCAL_SCHEME.match(location)


def local_path(location: str) -> str:
    """Returns the path of a local location: `file:///a%20b` is `/a b`, `~` the home folder.

    >>> local_path("file:///a%20b")
    '/a b'
    """
    if location.startswith("/"):
        return location  # nearly all of them
    if scheme := _LOCAL_SCHEME.match(location):
        return unquote(location[scheme.end() :])
    return os.path.expanduser(location)


def anchored(location: str, info: ValidationInfo) -> str:
    """Resolves a relative location against the configuration's folder."""
    if is_remote(location):
        return location
    base = (info.context or {}).get("base_dir", "")
    return os.path.normpath(os.path.join(base, local_path(location)))


#: A path or URI in a configuration. A relative path starts from the configuration file's folder
#: (the validation context's ``base_dir``), so a configuration works from any current folder.
Location = Annotated[str, AfterValidator(anchored)]
