"""The served version, as the server reports it or the version folder implies it."""

import os
import posixpath
from dataclasses import dataclass

from components.raster.errors import SkymillError
from components.raster.location import is_remote, local_path
from serving.client import ClientError, connect
from serving.store.version_store import version_store
from serving.store.versions import PushError


class ServedVersionError(PushError):
    """The served version cannot be determined, or is missing in the store."""


@dataclass(frozen=True)
class Served:
    """The served version, None when there is none, and the versions that a server gave up on."""

    number: int | None
    refused: frozenset[int] = frozenset()


def served_version(model_base: str, endpoint: str | None, timeout_s: float = 10.0) -> Served:
    """Returns the version that is served now.

    Args:
        model_base: `<model_dir>/<name>`; its last part is the model's name on the server.
        endpoint: a server, as `grpc://host:port` or `http://host:port`, whose newest AVAILABLE
            version counts. Without one it is the newest complete version in `model_base`.
        timeout_s: how long the server may take.

    Raises:
        ServedVersionError: the server does not answer, or serves a version which is not in
            `model_base`.
    """
    name = posixpath.basename(model_base.rstrip("/"))
    if endpoint is None:
        return Served(max(version_store(model_base).numbers(), default=None))
    try:
        with connect(endpoint, model=name, timeout_s=timeout_s) as client:
            number = client.served_version()
            statuses = client.status() if number is not None else ()
    except ClientError as error:
        raise ServedVersionError(
            f"{endpoint} was to say which version of {name} is being served: {error} "
            "Start that server, correct baseline.endpoint, or leave it out so that the version "
            f"folder {model_base} decides."
        ) from error
    refused = frozenset(s.model_version for s in statuses if s.state == "END" and s.error_message)
    if number is not None:
        _require(model_base, number, endpoint)
    return Served(number, refused)


def served_state(model_base: str, endpoint: str | None, timeout_s: float = 10.0) -> str | None:
    """Returns a name of what is served now and of the folder's history, or None if there is none.

    Two equal names mean the same served bytes and a version folder in which no version has come or
    gone in between. A store of objects keeps no such history, and a version that cannot be
    determined has no name.

    Args: as `served_version`.
    """
    if is_remote(model_base):
        return None
    try:
        number = served_version(model_base, endpoint, timeout_s).number
        digest = "" if number is None else version_store(model_base).digest(number)
        changed_ns = os.stat(local_path(model_base)).st_mtime_ns
    except (SkymillError, OSError):
        return None
    return f"{number} {digest} {changed_ns}"


def _require(model_base: str, number: int, endpoint: str) -> None:
    numbers = version_store(model_base).numbers()
    if number not in numbers:
        raise ServedVersionError(
            f"{endpoint} serves version {number} of {posixpath.basename(model_base)}, but "
            f"{model_base} holds {list(numbers)}: both must speak of the same folder. "
            "Correct push.model_dir or baseline.endpoint."
        )
