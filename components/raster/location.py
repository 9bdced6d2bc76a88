"""A place in storage as a user writes it: a path or a URI."""

import os
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo


def is_remote(location: str) -> bool:
    """Whether a location is a URI of an object store or a server, and not a local path."""
    return "://" in location


def anchored(location: str, info: ValidationInfo) -> str:
    """The location, from the configuration's folder where it is a relative path."""
    if is_remote(location):
        return location
    base = (info.context or {}).get("base_dir", "")
    return os.path.normpath(os.path.join(base, os.path.expanduser(location)))


#: A path or URI in a configuration. A relative path is taken from the configuration file's folder
#: (the validation context's ``base_dir``), so that a config works from wherever it is called.
Location = Annotated[str, AfterValidator(anchored)]
