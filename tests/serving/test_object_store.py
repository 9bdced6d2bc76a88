"""Versions in a bucket: the order of writes, refusals, and the sidecar of a server."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyarrow.fs import FileSystem, GcsFileSystem

from serving import sync
from serving.digest import model_digest
from serving.object_store import ObjectStore, StoreError
from serving.sync import Synced, sync_versions
from serving.version_store import Folder, version_store
from serving.versions import PushError, StaleBaselineError, list_versions, push_version
from tests.serving.gcs import gcs_server
from tests.serving.s3 import Bucket, s3_server

BASE = "prod/landcover"


def make_model(folder: Path, text: str = "model") -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "variables" / "variables.index").write_text("index of " + text)
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(os.urandom(300_000))
    (folder / "empty").touch()
    (folder / "saved_model.pb").write_text(text)
    return folder


@dataclass(frozen=True)
class Service:
    """A store on loopback with one bucket, by its own protocol."""

    uri: str
    bucket: Bucket
    files: FileSystem | None = None

    def open(self) -> ObjectStore:
        return ObjectStore(self.uri, self.files)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with s3_server("models") as (url, bucket):
        for name, value in {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        yield Service(f"s3://models/{BASE}", bucket)


@pytest.fixture
def gs() -> Iterator[Service]:
    with gcs_server("models") as (url, bucket):
        address = url.removeprefix("http://")
        files = GcsFileSystem(anonymous=True, scheme="http", endpoint_override=address)
        yield Service(f"gs://models/{BASE}", bucket, files)


@pytest.fixture(params=["s3", "gs"])
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def bucket(service: Service) -> Bucket:
    return service.bucket


@pytest.fixture
def store(service: Service) -> ObjectStore:
    return service.open()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model")


def push(store: ObjectStore, model: Path, after: int | None, keep: int = 5) -> int:
    return store.push(model, expected_baseline=after, provenance={"run.json": b"{}"}, keep=keep)


def numbers(folder: Path) -> list[int]:
    return [version.number for version in list_versions(folder)]


def test_the_models_file_is_written_last_and_the_manifest_before_it(
    bucket: Bucket, store: ObjectStore, model: Path
) -> None:
    assert store.numbers() == ()
    assert push(store, model, None) == 1
    version = f"{BASE}/1/"
    written = [key.removeprefix(version) for key in bucket.writes if key.startswith(version)]
    assert written[-2:] == ["manifest.json", "saved_model.pb"]
    uploaded = [key for key in bucket.writes if key.startswith(f"{BASE}/.push/1-")]
    assert len(uploaded) == len(written) + 1, "all of it, and the claim, lay elsewhere first"
    assert not [key for key in bucket.objects if key.startswith(f"{BASE}/.push/1-")]
    assert bucket.objects[f"{version}provenance/run.json"] == b"{}"
    manifest = json.loads(bucket.objects[f"{version}manifest.json"])
    assert manifest["model_sha256"] == model_digest(model) == store.digest(1)


def test_every_state_on_the_way_is_no_version_until_the_last(
    bucket: Bucket, store: ObjectStore, model: Path
) -> None:
    push(store, model, None)
    final = {key: data for key, data in bucket.objects.items() if key.startswith(f"{BASE}/1/")}
    order = [key for key in bucket.writes if key in final]
    bucket.objects.clear()
    for key in order:
        assert store.numbers() == ()
        bucket.put(key, final[key])
    assert store.numbers() == (1,)


def test_a_version_comes_back_as_it_was_pushed(
    store: ObjectStore, model: Path, tmp_path: Path
) -> None:
    push(store, model, None)
    store.fetch(1, tmp_path / "back")
    assert model_digest(tmp_path / "back") == model_digest(model)
    assert (tmp_path / "back" / "provenance" / "run.json").read_bytes() == b"{}"


def test_numbers_rise_and_old_versions_go_but_not_the_served_one(
    bucket: Bucket, store: ObjectStore, model: Path
) -> None:
    for after in (None, 1, 2):
        push(store, model, after)
    assert store.numbers() == (1, 2, 3)
    assert push(store, model, 3, keep=0) == 4
    assert store.numbers() == (3, 4), "what the candidate was compared with stays"
    assert not [key for key in bucket.objects if key.startswith((f"{BASE}/1/", f"{BASE}/2/"))]
    bucket.put(f"{BASE}/9/variables/x", b"what a killed push has left")
    assert push(store, model, 4) == 10


def test_a_baseline_of_yesterday_is_refused_also_when_it_becomes_so_on_the_way(
    service: Service, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = service.open()
    push(store, model, None)
    with pytest.raises(StaleBaselineError, match="version 1 is the newest"):
        push(store, model, None)
    upload, other = ObjectStore._upload, service.open()

    def overtaken(self: ObjectStore, content: bytes | Path, path: str) -> None:
        upload(self, content, path)
        if self is store and path.endswith("/saved_model.pb"):
            push(other, model, 1)

    monkeypatch.setattr(ObjectStore, "_upload", overtaken)
    with pytest.raises(StaleBaselineError, match="version 3 is the newest"):
        push(store, model, 1)
    assert store.numbers() == (1, 3)
    assert not [key for key in service.bucket.objects if "/.push/2-" in key]


def test_two_claims_of_one_number_are_a_refusal(
    bucket: Bucket, store: ObjectStore, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = ObjectStore._upload

    def together(self: ObjectStore, content: bytes | Path, path: str) -> None:
        upload(self, content, path)
        bucket.put(f"{BASE}/.push/1-other/claim", b"")

    monkeypatch.setattr(ObjectStore, "_upload", together)
    with pytest.raises(PushError, match="in the same moment"):
        push(store, model, None)
    assert store.numbers() == ()


def test_what_killed_pushes_left_goes_after_a_day(
    bucket: Bucket, store: ObjectStore, model: Path
) -> None:
    for key, days in (("3/variables/x", 2), (".push/3-a/claim", 2), (".push/4-b/claim", 0)):
        bucket.put(f"{BASE}/{key}", b"x")
        bucket.changed[f"{BASE}/{key}"] = datetime.now(UTC) - timedelta(days=days)
    assert push(store, model, None) == 5
    left = {key.removeprefix(f"{BASE}/") for key in bucket.objects}
    assert ".push/4-b/claim" in left
    assert not left & {"3/variables/x", ".push/3-a/claim"}


def test_what_a_store_refuses_is_told_with_its_address(
    bucket: Bucket, store: ObjectStore, model: Path
) -> None:
    bucket.forbidden = True
    with pytest.raises(StoreError, match="://models/prod/landcover: .*credentials"):
        store.numbers()
    with pytest.raises(PushError, match="models lie in a folder, or below s3:// or gs://"):
        version_store("minio://models/x")


def test_the_sidecar_brings_the_newest_and_keeps_some(
    store: ObjectStore, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "watched" / "landcover"
    assert sync_versions(store, folder) == Synced()
    push(store, model, None)
    assert sync_versions(store, folder) == Synced(fetched=(1,))
    assert sync_versions(store, folder) == Synced()
    assert model_digest(folder / "1") == model_digest(model)
    for after in (1, 2, 3):
        push(store, model, after)
        sync_versions(store, folder)
    assert numbers(folder) == [3, 4]
    assert {path.name for path in folder.iterdir()} == {"3", "4", ".push.lock"}


def test_a_version_withdrawn_from_the_store_is_a_roll_back(
    bucket: Bucket, store: ObjectStore, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "watched"
    push(store, model, None)
    push(store, model, 1)
    assert sync_versions(store, folder).fetched == (2,)
    del bucket.objects[f"{BASE}/2/saved_model.pb"]
    assert sync_versions(store, folder) == Synced(fetched=(1,), removed=(2,))
    bucket.objects.clear()
    assert sync_versions(store, folder) == Synced()
    assert numbers(folder) == [1], "an empty store takes nothing away"


@pytest.mark.parametrize("name", ["variables/variables.data-00000-of-00001", "manifest.json"])
def test_a_spoilt_version_never_appears_and_an_older_one_serves(
    bucket: Bucket, store: ObjectStore, model: Path, tmp_path: Path, name: str
) -> None:
    push(store, model, None)
    push(store, model, 1)
    key = f"{BASE}/2/{name}"
    bucket.put(key, bucket.objects[key].replace(bucket.objects[key][100:101], b"?", 1))
    synced = sync_versions(store, tmp_path / "watched")
    assert synced.fetched == (1,)
    assert len(synced.failed) == 1
    assert f"2/{name}" in synced.failed[0]
    assert numbers(tmp_path / "watched") == [1]


def test_a_name_that_leads_out_of_the_version_is_refused(
    bucket: Bucket, store: ObjectStore, model: Path, tmp_path: Path
) -> None:
    push(store, model, None)
    key = f"{BASE}/1/manifest.json"
    bucket.put(key, bucket.objects[key].replace(b'"empty"', b'"../up"'))
    synced = sync_versions(store, tmp_path / "watched")
    assert "contradicts itself" in synced.failed[0]
    assert not (tmp_path / "watched" / "up").exists()


def test_a_full_disk_is_not_the_stores_fault_and_no_older_version_comes_for_it(
    store: ObjectStore, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(store, model, None)
    push(store, model, 1)

    def full(path: Path, content: object) -> None:
        next(iter(content), b"")  # type: ignore[call-overload]
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("serving.object_store.write_durably", full)
    with pytest.raises(OSError, match="No space left on device"):
        sync_versions(store, tmp_path / "watched")
    assert {path.name for path in (tmp_path / "watched").iterdir()} == {".push.lock"}


class Killed(BaseException):
    """The process ends here."""


def test_killed_at_any_write_it_leaves_whole_versions_and_recovers(
    store: ObjectStore, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rename and every finished file is an instant at which it may be killed."""
    push(store, model, None)
    first = tmp_path / "first"
    sync_versions(store, first)
    push(store, model, 1)
    from serving import object_store

    durably, rename = object_store.write_durably, Path.rename
    for instant in range(20):
        folder = tmp_path / f"killed-{instant}"
        folder.mkdir()
        push_version(first / "1", folder, expected_baseline=None)
        left = [instant]

        def tick(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

        def write(*args: object) -> None:
            durably(*args)
            tick()

        def move(self: Path, target: Path) -> Path:
            tick()
            return rename(self, target)

        with monkeypatch.context() as patched:
            patched.setattr(object_store, "write_durably", write)
            patched.setattr(Path, "rename", move)
            try:
                sync_versions(store, folder, keep=0)
                done = True
            except Killed:
                done = False
        assert numbers(folder), instant
        for number in numbers(folder):
            assert model_digest(folder / str(number)) == model_digest(model)
        sync_versions(store, folder, keep=0)
        assert numbers(folder) == [2]
        if done:
            assert instant > 6
            return
    raise AssertionError("it never came to an end")


def test_the_command_follows_a_bucket_without_tensorflow_until_it_is_told_to_stop(
    s3: Service, model: Path, tmp_path: Path, repository: Path
) -> None:
    store = s3.open()
    push(store, model, None)
    folder = tmp_path / "watched"
    address = [s3.uri, str(folder)]
    program = [sys.executable, "-X", "importtime", "-m", "serving.sync", *address]
    with subprocess.Popen(
        [*program, "--every", "0.2"], cwd=repository, stderr=subprocess.PIPE, text=True
    ) as process:
        _until(lambda: numbers(folder) == [1])
        push(store, model, 1)
        _until(lambda: numbers(folder) == [1, 2])
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=10)
    assert process.returncode == 0
    assert f"version 2 is in {folder}" in told
    assert "tensorflow" not in told
    assert "apache_beam" not in told


def test_one_look_tells_by_its_exit_code(s3: Service, model: Path, tmp_path: Path) -> None:
    push(s3.open(), model, None)
    assert sync.main([s3.uri, str(tmp_path / "a"), "--once"]) == 0
    s3.bucket.forbidden = True
    assert sync.main([s3.uri, str(tmp_path / "b"), "--once"]) == 1


def test_a_folder_is_a_store_as_well(model: Path, tmp_path: Path) -> None:
    """A shared disk may be the store of many local ones."""
    shared = Folder(tmp_path / "shared")
    assert shared.push(model, expected_baseline=None, provenance={}, keep=1) == 1
    assert sync_versions(shared, tmp_path / "watched") == Synced(fetched=(1,))
    assert shared.digest(1) == model_digest(tmp_path / "watched" / "1")


def _until(true: "object", patience_s: float = 20) -> None:
    end = time.monotonic() + patience_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)
