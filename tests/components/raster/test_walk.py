"""The files in a folder, whatever the path to it."""

import os
from pathlib import Path

import pytest

from components.raster.walk import HIDDEN, MARKER, NO_SUFFIX, left_out_as, walk


def touch(root: Path, *keys: str) -> None:
    for key in keys:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(b"x")


def files(root: Path, apart: Path | None = None) -> list[str]:
    found = walk(str(root), None if apart is None else str(apart))
    return sorted(entry.key for entry in found if not entry.is_folder)


def test_links_lead_on_at_any_depth_and_no_folder_is_entered_twice(tmp_path: Path) -> None:
    touch(tmp_path, "real/deep/x.tif", "real/y.tif", "top/z.tif")
    (tmp_path / "top/link").symlink_to(tmp_path / "real")
    (tmp_path / "real/back").symlink_to(tmp_path / "top")
    assert files(tmp_path / "top") == ["link/deep/x.tif", "link/y.tif", "z.tif"]
    (tmp_path / "a_link").symlink_to(tmp_path / "real")
    assert files(tmp_path) == ["real/deep/x.tif", "real/y.tif", "top/z.tif"]


def test_hidden_folders_give_way_to_links_into_them(tmp_path: Path) -> None:
    touch(tmp_path, ".store/v1/a.tif", ".store/other.tif")
    (tmp_path / "now").symlink_to(tmp_path / ".store/v1")
    assert files(tmp_path) == [".store/other.tif", "now/a.tif"]


def test_a_folder_that_is_listed_on_its_own_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.tif", "masks/a.png", "b/masks/c.png")
    assert files(tmp_path, tmp_path / "masks") == ["a.tif", "b/masks/c.png"]
    assert files(tmp_path, tmp_path) == ["a.tif", "b/masks/c.png", "masks/a.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    touch(tmp_path, "closed/a.tif")
    (tmp_path / "closed").chmod(0)
    [error] = [entry for entry in walk(str(tmp_path)) if entry.error]
    (tmp_path / "closed").chmod(0o700)
    assert (error.key, error.is_folder) == ("closed", True)
    assert "PermissionError" in error.error


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a.tif", ""),
        ("a/b.TIF", ""),
        ("a.tif.gz", ".gz"),
        ("._a.tif", HIDDEN),
        (".store/a.tif", HIDDEN),
        ("a.b/.c/d.tif", HIDDEN),
        ("_SUCCESS", MARKER),
        ("a/_SUCCESS", NO_SUFFIX),
        ("a.tif/raw", NO_SUFFIX),
    ],
)
def test_what_is_left_out_has_a_name_to_count_by(key: str, name: str) -> None:
    assert left_out_as(key, (".tif",)) == name
    if name == NO_SUFFIX:
        assert left_out_as(key, (".tif", "")) == ""
