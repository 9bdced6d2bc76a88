"""The state of a source shows whether its data may be new, without reading them."""

import os
import shutil
from pathlib import Path

import pytest

from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.photographs.config import FoldersSource, ManifestSource
from components.ingest.rasters.scenes.config import ScenesSource
from components.ingest.rasters.stac.config import StacSource
from components.ingest.source_state import changed_at, marker_path, source_state
from components.raster.errors import ConfigError
from components.raster.scene.stac_query import StacQuery


@pytest.fixture
def source(tmp_path: Path) -> FoldersSource:
    for name in ("river/1.png", "river/2.png", "wood/1.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return FoldersSource(uri=str(tmp_path / "images"))


def test_nothing_new_looks_the_same(source: FoldersSource) -> None:
    seen = source_state(source)
    assert source_state(source) == seen
    assert seen.files == 3
    assert seen.newest == max(path.stat().st_mtime for path in Path(source.uri).rglob("*.png"))


def test_whatever_changes_the_fingerprint_changes_the_state(source: FoldersSource) -> None:
    root = Path(source.uri)

    def overwrite_with_the_old_time() -> None:
        path = root / "wood/1.png"
        before = path.stat()
        path.write_bytes(b"x" * before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    changes = (
        lambda: (root / "wood/2.png").write_bytes(b"new"),
        lambda: (root / "wood/2.png").rename(root / "river/3.png"),
        lambda: (root / "river/3.png").unlink(),
        lambda: (root / "beside.png").write_bytes(b"a reject"),
        overwrite_with_the_old_time,
    )
    pairs = {(source_state(source).token, fingerprint_dataset(source))}
    for change in changes:
        change()
        pairs.add((source_state(source).token, fingerprint_dataset(source)))
    # Adding, renaming and removing one file leads back to where it began.
    assert len(pairs) == len(changes)
    assert len({token for token, _ in pairs}) == len({held for _, held in pairs}) == len(pairs)


def test_files_that_ingest_ignores_are_no_news(source: FoldersSource) -> None:
    before = source_state(source).token
    for name in ("notes.txt", "_SUCCESS", ".part", "river/upload.tmp", "river/.1.png.aX3"):
        (Path(source.uri) / name).touch()
    assert source_state(source).token == before


def test_a_touched_file_only_looks_new(source: FoldersSource) -> None:
    before, held = source_state(source).token, fingerprint_dataset(source)
    os.utime(Path(source.uri) / "river/1.png", (1, 1))
    assert source_state(source).token != before
    assert fingerprint_dataset(source) == held


def test_a_manifest_and_the_files_that_it_names(source: FoldersSource, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f"uri,label\n{source.uri}/river/1.png,wet\nno.png,dry\n")
    manifest = ManifestSource(uri=str(tmp_path / "m.csv"))
    before = source_state(manifest).token
    (Path(source.uri) / "wood/1.png").write_bytes(b"not in the manifest")
    assert source_state(manifest).token == before
    (Path(source.uri) / "river/1.png").write_bytes(b"in it")
    after = source_state(manifest).token
    assert after != before
    (tmp_path / "no.png").touch()
    assert source_state(manifest).token != after


def test_a_store_is_listed_and_not_read(source: FoldersSource, monkeypatch) -> None:
    from tests.components.ingest.test_remote import FolderStore

    monkeypatch.setattr(FolderStore, "checksum", lambda *_: pytest.fail("it was read"))
    shelf = FoldersSource(uri=f"shelf://{source.uri}")
    before = source_state(shelf)
    assert before.files == 3
    assert source_state(shelf) == before
    (Path(source.uri) / "wood/1.png").write_bytes(b"longer than it was")
    assert source_state(shelf).token != before.token
    assert changed_at(f"shelf://{source.uri}/_SUCCESS") is None
    (Path(source.uri) / "_SUCCESS").touch()
    assert changed_at(f"shelf://{source.uri}/_SUCCESS") is not None


def test_where_markers_lie(tmp_path: Path) -> None:
    (tmp_path / "v1.2").mkdir()
    for uri, place in (
        ("gs://bucket/images/", "gs://bucket/images/_SUCCESS"),
        ("gs://bucket/lists/m.csv", "gs://bucket/lists/_SUCCESS"),
        (str(tmp_path / "v1.2"), str(tmp_path / "v1.2" / "_SUCCESS")),
    ):
        assert marker_path(FoldersSource(uri=uri), "_SUCCESS") == place
    scene = ScenesSource(uri="/data/scene.tif")
    assert marker_path(scene, "_SUCCESS") == "/data/_SUCCESS"
    with pytest.raises(ConfigError, match="STAC source has none"):
        marker_path(StacSource(query=StacQuery(source="https://stac")), "_SUCCESS")


def test_times_of_markers(tmp_path: Path) -> None:
    marker = tmp_path / "_SUCCESS"
    assert changed_at(str(marker)) is None
    marker.touch()
    os.utime(marker, (5, 7))
    assert changed_at(str(marker)) == 7


def test_a_marker_is_no_image(source: FoldersSource) -> None:
    from components.ingest.listing.folders import list_folders

    (Path(source.uri) / "_SUCCESS").touch()
    found = list_folders(source.uri)
    assert found.rejects == []
    assert found.ignored == {"(marker)": 1}
    shutil.copy(Path(source.uri) / "river/1.png", Path(source.uri) / "river/_1")
    assert "river/_1" in {record.key for record in list_folders(source.uri).records}
