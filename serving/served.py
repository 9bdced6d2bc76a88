"""Which version is being served: asked of the server, or read off the version folder."""

from dataclasses import dataclass
from pathlib import Path

from serving.client import ClientError, connect
from serving.versions import PushError, Version, list_versions, newest_version


class ServedVersionError(PushError):
    """It cannot be found out which version is being served, or that version is not there."""


@dataclass(frozen=True)
class Served:
    """The version being served, None when there is none, and those that a server gave up on."""

    version: Version | None
    refused: frozenset[int] = frozenset()

    @property
    def number(self) -> int | None:
        """The version's number."""
        return self.version.number if self.version else None


def served_version(model_base: str, endpoint: str | None, timeout_s: float = 10.0) -> Served:
    """What is being served at this moment.

    Args:
        model_base: `<model_dir>/<name>`; its last part is the model's name on the server.
        endpoint: a server, as `grpc://host:port` or `http://host:port`, whose newest AVAILABLE
            version counts. Without one it is the newest complete version in `model_base`.
        timeout_s: how long the server may take.

    Raises:
        ServedVersionError: the server does not answer, or serves a version which is not in
            `model_base`.
    """
    base = Path(model_base)
    if endpoint is None:
        return Served(newest_version(base))
    try:
        with connect(endpoint, model=base.name, timeout_s=timeout_s) as client:
            number = client.served_version()
            statuses = client.status() if number is not None else ()
    except ClientError as error:
        raise ServedVersionError(
            f"{endpoint} was to say which version of {base.name} is being served: {error} "
            "Start that server, correct baseline.endpoint, or leave it out so that the version "
            f"folder {base} decides."
        ) from error
    refused = frozenset(s.model_version for s in statuses if s.state == "END" and s.error_message)
    if number is None:
        return Served(None, refused)
    return Served(_in_folder(base, number, endpoint), refused)


def _in_folder(base: Path, number: int, endpoint: str) -> Version:
    versions = list_versions(base)
    for version in versions:
        if version.number == number:
            return version
    raise ServedVersionError(
        f"{endpoint} serves version {number} of {base.name}, but {base} holds "
        f"{[version.number for version in versions]}: both must speak of the same folder. "
        "Correct push.model_dir or baseline.endpoint."
    )
