"""A private disk for a command under test: a tmpfs in a mount namespace of its own."""

import subprocess
from pathlib import Path

import pytest

_SCRIPT = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'


def with_own_disk(folder: Path, options: str) -> list[str]:
    """Returns a command's prefix that mounts a disk at an existing folder.

    Skips the test where the system does not allow such a namespace.

    Args:
        folder: where the disk is mounted.
        options: options of the mount, such as `size=1m` or `ro`.
    """
    words = ["unshare", "-rm", "sh", "-c", _SCRIPT, "sh", options, str(folder)]
    if subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk in a namespace of its own")
    return words
