"""Local and remote locations."""

import pytest

from components.raster.location import is_remote, local_path


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("file:///data/a.tif", "/data/a.tif"),
        ("file://localhost/data/a.tif", "/data/a.tif"),
        ("FILE:///data/a.tif", "/data/a.tif"),
        ("file:/data/a.tif", "/data/a.tif"),
        ("file:a.tif", "file:a.tif"),  # a name with a colon, for all that is known
        ("file:///data/a%20b%25.tif", "/data/a b%.tif"),
        ("/data/100%25.tif", "/data/100%25.tif"),
        ("folder/a.tif", "folder/a.tif"),
    ],
)
def test_a_file_uri_is_a_local_path(location: str, path: str) -> None:
    assert not is_remote(location)
    assert local_path(location) == path


@pytest.mark.parametrize("location", ["gs://b/a.tif", "s3://b/a", "https://h/a.tif", "hdfs://h/a"])
def test_other_schemes_are_remote(location: str) -> None:
    assert is_remote(location)
