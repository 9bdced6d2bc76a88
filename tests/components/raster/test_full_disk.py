"""A full disk is recognised by the errors that writers really raise."""

import errno
import os
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.raster.errors import DataError
from components.raster.full_disk import DiskFull, full_disk_as_error, is_full_disk
from components.raster.library_errors import translated
from tests.own_disk import with_own_disk


def by_python() -> None:
    with open("/dev/full", "w") as file:
        file.write("x")


def by_sqlite() -> None:
    rows = sqlite3.connect(":memory:")
    rows.execute("PRAGMA max_page_count = 2")
    rows.execute("CREATE TABLE a (x)")
    rows.execute("INSERT INTO a VALUES (?)", ("x" * 100_000,))


def by_hdf5() -> None:
    import h5py

    with h5py.File("/dev/full", "w") as file:
        file["x"] = range(1000)


def by_a_worker() -> None:
    """As Beam raises an error of a DoFn again: the same class, with a text alone."""
    try:
        by_python()
    except OSError as error:
        raise OSError(f"{error} [while running 'Write']") from None


def behind_an_error_of_ours() -> None:
    try:
        by_python()
    except OSError as error:
        raise DataError("the shard cannot be written") from error


@pytest.mark.parametrize(
    "writes", [by_python, by_sqlite, by_hdf5, by_a_worker, behind_an_error_of_ours]
)
def test_a_full_disk_is_named(writes: Callable[[], None]) -> None:
    with pytest.raises(DiskFull, match="is full. Make room there") as raised, full_disk_as_error():
        writes()
    assert "memory" not in str(raised.value)
    assert is_full_disk(pickle.loads(pickle.dumps(raised.value)))


def test_it_is_never_the_fault_of_an_item() -> None:
    with pytest.raises(DiskFull), translated():
        by_python()


def test_other_errors_pass() -> None:
    with pytest.raises(MemoryError), full_disk_as_error():
        raise MemoryError
    with pytest.raises(FileNotFoundError), full_disk_as_error():
        open("/dev/none/there").close()


IN_A_SMALL_DISK = """
import os, sys
from components.raster.full_disk import DiskFull, full_disk_as_error
place = sys.argv[1] + "/workspace"
os.mkdir(place)
try:
    with full_disk_as_error({"workspace": place, "push.model_dir": "/"}):
        with open(place + "/shard", "wb") as file:
            file.write(bytes(2_000_000))
except DiskFull as error:
    print(error)
"""


def test_the_place_and_the_setting_that_moves_it_are_named(tmp_path: Path) -> None:
    """On a disk of 1 MB of its own, where the system lets us mount one."""
    command = with_own_disk(tmp_path, "size=1m")
    done = subprocess.run(
        [*command, sys.executable, "-c", IN_A_SMALL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.stdout == (
        f"The disk of {tmp_path}/workspace (0.0 of 1.0 MB free by now) is full. Make room there, "
        "or set workspace to a disk that has some, and start again.\n"
    )


def test_who_knows_the_settings_adds_them_to_what_was_told_farther_in() -> None:
    with (
        pytest.raises(DiskFull, match=r"The disk of /dev/full .* or set --output to a disk"),
        full_disk_as_error({"--output": "/dev/out"}),
        full_disk_as_error(),
        open("/dev/full", "w") as file,
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name)
