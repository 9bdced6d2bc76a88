"""A disk of its own for a command under test: a tmpfs in a mount namespace that only it sees."""

import subprocess
from pathlib import Path

import pytest

_SCRIPT = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'


def with_own_disk(folder: Path, options: str) -> list[str]:
    """The words to put before a command that sees a disk at a folder, which exists.

    Skips the test where the system grants no such namespace.

    Args:
        folder: where the disk is mounted.
        options: of the mount, such as `size=1m` or `ro`.
    """
    words = ["unshare", "-rm", "sh", "-c", _SCRIPT, "sh", options, str(folder)]
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk in a namespace of its own")
    return words
