"""Served version, as reported by the server or implied by the version folder."""

import os
import posixpath
from dataclasses import dataclass

from components.raster.errors import SkymillError
from components.raster.location import is_remote, local_path
from serving.client import ClientError, connect
from serving.store.version_store import version_store
from serving.store.versions import PushError

#: Prefix of a state's name.
_STATE = "served "


class ServedVersionError(PushError):
    """The served version cannot be determined, or is missing in the store."""


@dataclass(frozen=True)
class Served:
    """The served version, None if there is none, and the versions that a server failed to load."""

    number: int | None
    refused: frozenset[int] = frozenset()


def served_version(model_base: str, endpoint: str | None, timeout_s: float = 10.0) -> Served:
    """Returns the version that is served now.

    Args:
        model_base: `<model_dir>/<name>`; its last part is the model's name on the server.
        endpoint: a server, `grpc://host:port` or `http://host:port`, whose newest AVAILABLE
            version counts. None: the newest complete version in `model_base`.
        timeout_s: time for the server's answer.

    Raises:
        ServedVersionError: the server does not answer, or serves a version that is not in
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
            f"{endpoint} does not report which version of {name} is being served: {error} "
            "Start that server, correct baseline.endpoint, or remove it so that the version "
            f"folder {model_base} decides."
        ) from error
    refused = frozenset(s.model_version for s in statuses if s.state == "END" and s.error_message)
    if number is not None:
        _require(model_base, number, endpoint)
    return Served(number, refused)


def require_state(name: str, model_base: str, found: int | None) -> None:
    """Checks that a found version is the one that a state's name represents.

    A server may change its version, and change it back, during the look-up. The found version would
    then be cached under the name of another state, and used for it as long as that lasts. A state
    whose folder has changed since does not recur, and passes.

    Args:
        name: from `served_state`; anything else passes.
        model_base: `<model_dir>/<name>`.
        found: the version that was found.

    Raises:
        ServedVersionError: it is a different one.
    """
    if not name.startswith(_STATE) or not name.endswith(f" {_changed_ns(model_base)}"):
        return
    digest = "" if found is None else version_store(model_base).digest(found)
    if not name.startswith(f"{_STATE}{found} {digest} "):
        raise ServedVersionError(
            f"The served version of {model_base} changed while the run began: it was "
            f"{name.removeprefix(_STATE).split()[0]}, and then {found}. Run the pipeline again."
        )


def served_state(model_base: str, endpoint: str | None, timeout_s: float = 10.0) -> str | None:
    """Returns a name for the served version and the folder's history; None if there is none.

    Equal names mean the same served bytes, and a version folder to which no version was added and
    from which none was removed in between. An object store keeps no such history, and a version
    that cannot be determined has no name.

    Args: as in `served_version`.
    """
    if is_remote(model_base):
        return None
    try:
        number = served_version(model_base, endpoint, timeout_s).number
        digest = "" if number is None else version_store(model_base).digest(number)
        return f"{_STATE}{number} {digest} {_changed_ns(model_base)}"
    except (SkymillError, OSError):
        return None


def _changed_ns(model_base: str) -> int:
    return os.stat(local_path(model_base)).st_mtime_ns


def _require(model_base: str, number: int, endpoint: str) -> None:
    numbers = version_store(model_base).numbers()
    if number not in numbers:
        raise ServedVersionError(
            f"{endpoint} serves version {number} of {posixpath.basename(model_base)}, but "
            f"{model_base} holds {list(numbers)}: both must be about the same folder. "
            "Correct push.model_dir or baseline.endpoint."
        )
