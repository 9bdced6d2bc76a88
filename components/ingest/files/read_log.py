"""Checksums of the files that workers read whole, as they read them.

Workers compute the sha256 of each photograph in any case. The fingerprint of the very bytes that
were read follows from it, so that nothing is read twice.
"""

import json
from collections.abc import Iterable, Mapping

#: Represents the content of a file that had several; no fingerprint is of it.
CHANGED = "!changed"


class ReadLog:
    """Checksums of files by their location."""

    def __init__(self) -> None:
        self.checksums: dict[str, str] = {}

    def note(self, uri: str, checksum: str) -> None:
        """Notes a file that was read whole; two images may share a mask."""
        if self.checksums.setdefault(uri, checksum) != checksum:
            self.checksums[uri] = CHANGED

    def to_json(self) -> bytes:
        """Serializes the log."""
        return json.dumps(self.checksums, separators=(",", ":")).encode()


def merged(logs: Iterable[bytes]) -> Mapping[str, str]:
    """Returns the checksums of all logs, from `ReadLog.to_json`."""
    log = ReadLog()
    for text in logs:
        for uri, checksum in json.loads(text).items():
            log.note(uri, checksum)
    return log.checksums
