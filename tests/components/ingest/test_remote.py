"""Sources in a store that Beam knows: here one of our own, which keeps its objects in a folder."""

import hashlib
from pathlib import Path

import pytest
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

from components.gate.report import require_passed
from components.ingest.choose_span import choose_span
from components.ingest.config import IngestConfig
from components.ingest.files import storage
from components.ingest.files.spans import find_span
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.listing.config import ManifestColumns
from components.ingest.photographs.config import FoldersSource, ManifestSource
from components.raster.errors import DataError, SkymillError
from components.raster.reasons import Reason
from tests.stores.services import service_on_loopback

SPLITS = ("train", "eval", "test")


class FolderStore(LocalFileSystem):
    """`shelf://<absolute path>`: whole objects with checksums, and no folders of their own."""

    @classmethod
    def scheme(cls):
        return "shelf"

    def _path(self, uri):
        return uri.removeprefix("shelf://")

    def _list(self, dir_or_prefix):
        for metadata in super()._list(self._path(dir_or_prefix)):
            yield FileMetadata(f"shelf://{metadata.path}", metadata.size_in_bytes)

    def has_dirs(self):
        return False

    def metadata(self, path):
        found = super().metadata(self._path(path))
        return FileMetadata(path, found.size_in_bytes, found.last_updated_in_seconds)

    def open(self, path, *args, **options):
        return super().open(self._path(path), *args, **options)

    def create(self, path, *args, **options):
        return super().create(self._path(path), *args, **options)

    def exists(self, path):
        return Path(self._path(path)).exists()

    def rename(self, source_file_names, destination_file_names):
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            place = Path(self._path(target))
            place.parent.mkdir(parents=True, exist_ok=True)
            Path(self._path(source)).rename(place)

    def delete(self, paths):
        for path in paths:
            Path(self._path(path)).unlink()

    def checksum(self, path):
        return hashlib.md5(Path(self._path(path)).read_bytes()).hexdigest()


@pytest.fixture
def shelf(folders):
    """The class folders of the fixture, as a store sees them."""
    return f"shelf://{folders}"


def test_remote_and_local_folders_give_the_same_examples(folders, shelf, ingest):
    (folders / "river" / "page.jpg").write_text("<html>404</html>")
    (folders / "river" / "notes.txt").write_text("ignored")
    local = ingest(IngestConfig(source=FoldersSource(uri=str(folders))), "local")
    remote = ingest(IngestConfig(source=FoldersSource(uri=shelf)), "remote")
    for split in SPLITS:
        assert remote.shards(split) == local.shards(split)
    assert remote.summary == local.summary
    assert remote.rejects()["river/page.jpg"].uri == f"{shelf}/river/page.jpg"
    require_passed(remote.report())


def test_a_remote_manifest_finds_its_files_and_misses_one(folders, shelf, ingest):
    (folders / "m.csv").write_text("uri,label\nriver/001.jpg,wet\nforest/000.jpg,dry\nno.jpg,dry\n")
    source = ManifestSource(uri=f"{shelf}/m.csv", columns=ManifestColumns())
    outcome = ingest(IngestConfig(source=source))
    assert sorted(key for split in SPLITS for key in outcome.keys(split)) == [
        "forest/000.jpg",
        "river/001.jpg",
    ]
    assert outcome.rejects()["no.jpg"].reason is Reason.MISSING_FILE


def test_the_stores_checksum_counts(folders, shelf):
    before = fingerprint_dataset(FoldersSource(uri=shelf))
    assert fingerprint_dataset(FoldersSource(uri=shelf + "/")) == before
    (folders / "river" / "001.jpg").write_bytes(b"other")
    assert fingerprint_dataset(FoldersSource(uri=shelf)) != before


def test_an_empty_place_is_an_error(tmp_path):
    with pytest.raises(DataError, match="nothing lies below shelf://"):
        fingerprint_dataset(FoldersSource(uri=f"shelf://{tmp_path}"))


@pytest.mark.parametrize("scheme", ["", "shelf://"])
def test_what_ingest_writes_can_lie_in_a_store(tmp_path, scheme):
    root = f"{scheme}{tmp_path}"
    partial, final = storage.join(root, "partial"), storage.join(root, "split", "data")
    storage.make_folder(storage.join(root, "split"))
    storage.make_folder(partial)
    storage.write(storage.join(partial, "a.gz"), b"0123456789")
    storage.write(storage.join(partial, "left over"), b"")
    assert storage.read_range(storage.join(partial, "a.gz"), 3, 4) == b"3456"
    for _ in range(2):  # a retried step does it again
        storage.publish(storage.join(partial, "a.gz"), final)
    assert storage.read(final) == b"0123456789"
    storage.remove_folder(partial)
    assert [path.name for path in sorted(tmp_path.rglob("*")) if path.is_file()] == ["data"]
    with pytest.raises(FileNotFoundError, match="neither"):
        storage.publish(storage.join(partial, "a.gz"), storage.join(root, "nowhere"))


def test_spans_in_a_store(folders, shelf):
    for span in ("span-9", "span-10"):
        (folders.parent / "spans" / span).mkdir(parents=True)
        (folders.parent / "spans" / span / "a.csv").write_text("uri,label\n")
    place = f"shelf://{folders.parent}/spans/span-{{SPAN}}"
    found = choose_span(IngestConfig(source=FoldersSource(uri=place)))
    assert found.source.uri == place.replace("{SPAN}", "10")
    manifest = find_span(place + "/a.csv", 9)
    assert manifest.number == 9


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_images_in_a_bucket_give_the_same_examples(folders, ingest, monkeypatch, scheme):
    for path in sorted(folders.rglob("*.jpg"))[12:]:
        path.unlink()
    with service_on_loopback(scheme, "land", monkeypatch, "imagery") as service:
        for path in sorted(folders.rglob("*.jpg")):
            service.bucket.put(f"land/{path.relative_to(folders)}", path.read_bytes())
        config = IngestConfig(source=FoldersSource(uri=service.uri))
        before = fingerprint_dataset(config.source)
        stored = ingest(config, "stored")
        assert fingerprint_dataset(config.source) == before
        service.bucket.put(sorted(service.bucket.objects)[0], b"other")
        assert fingerprint_dataset(config.source) != before
    local = ingest(IngestConfig(source=FoldersSource(uri=str(folders))), "local")
    for split in SPLITS:
        assert stored.shards(split) == local.shards(split)


def test_spans_in_a_bucket(monkeypatch):
    with service_on_loopback("s3", "", monkeypatch, "imagery") as service:
        for span in ("9", "10"):
            service.bucket.put(f"span-{span}/a.jpg", b"")
        config = IngestConfig(source=FoldersSource(uri="s3://imagery/span-{SPAN}"))
        assert choose_span(config).source.uri == "s3://imagery/span-10"


def test_a_bucket_that_refuses_is_an_error_and_no_empty_source(monkeypatch):
    with service_on_loopback("s3", "land", monkeypatch, "imagery") as service:
        service.bucket.forbidden = True
        with pytest.raises(SkymillError, match="s3://imagery.*403.*credentials"):
            fingerprint_dataset(FoldersSource(uri=service.uri))
