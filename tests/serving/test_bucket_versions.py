"""Versions in a bucket: the order of writes, refusals, and the sidecar of a server."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from components.raster.stores.cloud_store import CloudStore
from components.raster.stores.object_store import StorageError
from serving.store import sync
from serving.store.bucket_versions import BucketVersions
from serving.store.digest import model_digest
from serving.store.sync import SyncResult, sync_versions
from serving.store.version_store import FolderVersions, version_store
from serving.store.versions import (
    PublishedError,
    PushError,
    StaleBaselineError,
    list_versions,
    push_version,
)
from tests.stores.s3 import Bucket
from tests.stores.services import Service, service_on_loopback

BASE = "prod/landcover"


def make_model(folder: Path, text: str = "model") -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "variables" / "variables.index").write_text("index of " + text)
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(os.urandom(300_000))
    (folder / "empty").touch()
    (folder / "saved_model.pb").write_text(text)
    return folder


@pytest.fixture(params=["s3", "gs", "az"])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with service_on_loopback(request.param, BASE, monkeypatch) as found:
        yield found


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with service_on_loopback("s3", BASE, monkeypatch) as found:
        yield found


def opened(service: Service) -> BucketVersions:
    """The versions there, as another process would open them."""
    return BucketVersions(service.open())


@pytest.fixture
def bucket(service: Service) -> Bucket:
    return service.bucket


@pytest.fixture
def store(service: Service) -> BucketVersions:
    return opened(service)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_model(tmp_path / "model")


def push(store: BucketVersions, model: Path, after: int | None, keep: int = 5) -> int:
    return store.push(model, expected_baseline=after, provenance={"run.json": b"{}"}, keep=keep)


def numbers(folder: Path) -> list[int]:
    return [version.number for version in list_versions(folder)]


def test_the_models_file_is_written_last_and_the_manifest_before_it(
    bucket: Bucket, store: BucketVersions, model: Path
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
    bucket: Bucket, store: BucketVersions, model: Path
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
    store: BucketVersions, model: Path, tmp_path: Path
) -> None:
    push(store, model, None)
    store.fetch(1, tmp_path / "back")
    assert model_digest(tmp_path / "back") == model_digest(model)
    assert (tmp_path / "back" / "provenance" / "run.json").read_bytes() == b"{}"


def test_numbers_rise_and_old_versions_go_but_not_the_served_one(
    bucket: Bucket, store: BucketVersions, model: Path
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
    store = opened(service)
    push(store, model, None)
    with pytest.raises(StaleBaselineError, match="version 1 is the newest"):
        push(store, model, None)
    write, other = CloudStore.write, opened(service)

    def overtaken(self: CloudStore, name: str, content: bytes | Path) -> None:
        write(self, name, content)
        if name.startswith(".push/2-") and name.endswith("/saved_model.pb"):
            push(other, model, 1)

    monkeypatch.setattr(CloudStore, "write", overtaken)
    with pytest.raises(StaleBaselineError, match="version 3 is the newest"):
        push(store, model, 1)
    assert store.numbers() == (1, 3)
    assert not [key for key in service.bucket.objects if "/.push/2-" in key]


def test_two_claims_of_one_number_are_a_refusal(
    bucket: Bucket, store: BucketVersions, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = CloudStore.write

    def together(self: CloudStore, name: str, content: bytes | Path) -> None:
        write(self, name, content)
        bucket.put(f"{BASE}/.push/1-other/claim", b"")

    monkeypatch.setattr(CloudStore, "write", together)
    with pytest.raises(PushError, match="at the same moment"):
        push(store, model, None)
    assert store.numbers() == ()


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Kill:
    """Ends a push, as a kill does, before one of its steps: nothing is tidied up."""

    monkeypatch: pytest.MonkeyPatch

    def push(self, store: BucketVersions, model: Path, after: int | None, step: int) -> bool:
        """Checks whether the push was killed, and not over before that step."""
        left = [step]

        def dies(call: Callable[..., object]) -> Callable[..., object]:
            def run(*args: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
                return call(*args)

            return run

        with self.monkeypatch.context() as patched:
            for name in ("write", "copy", "delete"):
                patched.setattr(CloudStore, name, dies(getattr(CloudStore, name)))
            try:
                push(store, model, after, keep=0)
            except Killed:
                return True
        return False


def age(bucket: Bucket, days: float = 2) -> None:
    """Makes all objects older."""
    for key in bucket.changed:
        bucket.changed[key] -= timedelta(days=days)


def test_what_a_push_left_that_was_killed_at_any_step_goes_after_a_day(
    s3: Service, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, bucket, number = opened(s3), s3.bucket, 0
    for step in range(60):
        newest = max(store.numbers(), default=None)
        killed = Kill(monkeypatch).push(store, model, newest, step)
        began = {key for key in bucket.objects if f"{BASE}/.push/" in key}
        age(bucket)
        number = push(store, model, max(store.numbers(), default=None), keep=0)
        left = {key.split("/")[2] for key in bucket.objects if key != f"{BASE}/"}
        assert left <= {".push", *map(str, store.numbers())}, step
        assert not [key for key in bucket.objects if key in began and not key.endswith("/.push/")]
        assert number in store.numbers()
        if not killed:
            assert step > 10
            return
    raise AssertionError("it never came to an end")


def test_a_killed_push_is_left_alone_for_a_day(
    bucket: Bucket, store: BucketVersions, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Kill(monkeypatch).push(store, model, None, 8)
    before = {key for key in bucket.objects if not key.endswith("/.push/")}
    assert [key for key in before if key.startswith(f"{BASE}/1/")], "it was publishing"
    age(bucket, 0.9)
    assert push(store, model, None) == 2
    assert before <= bucket.objects.keys()


FOREIGN = {
    "a half written version": {"3/variables/x": b"x"},
    "a version without a manifest": {"3/saved_model.pb": b"x", "3/variables/x": b"x"},
    "a manifest of another kind": {"3/manifest.json": b"{}", "3/variables/x": b"x"},
    "beside a room that had not begun": {"3/empty": b"", ".push/3-a/claim": b""},
    "folders of other names": {"latest/x": b"x", ".push/readme": b"x", ".push/notes/x": b"x"},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_another_program_wrote_stays_however_old(
    bucket: Bucket, store: BucketVersions, model: Path, name: str
) -> None:
    for key, data in FOREIGN[name].items():
        bucket.put(f"{BASE}/{key}", data)
    age(bucket)
    number = push(store, model, None, keep=0)
    assert number == (1 if "3" not in {key[0] for key in FOREIGN[name]} else 4)
    push(store, model, number, keep=0)
    push(store, model, number + 1, keep=0)
    for key, data in FOREIGN[name].items():
        if not key.endswith("/claim"):
            assert bucket.objects[f"{BASE}/{key}"] == data


def test_a_version_that_another_program_wrote_under_a_killed_pushs_number_stays(
    bucket: Bucket, store: BucketVersions, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Kill(monkeypatch).push(store, model, None, 8)
    bucket.put(f"{BASE}/1/theirs", b"x")
    age(bucket)
    push(store, model, None)
    assert f"{BASE}/1/theirs" in bucket.objects
    assert f"{BASE}/1/empty" in bucket.objects, "whose it is cannot be message any more"
    assert not [key for key in bucket.objects if "/.push/1-" in key]


def test_a_bucket_that_tensorflow_serving_serves_already(
    bucket: Bucket, store: BucketVersions, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It loads the newest number whose `saved_model.pb` is there, with the variables there are."""
    theirs = {f"{BASE}/1700000000/{name}": b"x" for name in ("saved_model.pb", "variables/x")}
    for key in theirs:
        bucket.put(key, b"x")
    age(bucket)
    number = push(store, model, None, keep=0)
    assert number == 1700000001
    assert theirs.keys() <= bucket.objects.keys()
    assert "/1700000000 has no manifest.json: another program wrote it" in caplog.text
    written = [key for key in bucket.writes if key.startswith(f"{BASE}/{number}/")]
    assert written[-1] == f"{BASE}/{number}/saved_model.pb"


@pytest.mark.parametrize("part", ["/1/variables", "/1/manifest.json", "/1/saved_model.pb"])
def test_a_push_that_may_not_publish_leaves_nothing_that_a_server_would_try(
    bucket: Bucket, store: BucketVersions, model: Path, part: str
) -> None:
    bucket.read_only = part
    with pytest.raises(StorageError, match="credentials"):
        push(store, model, None)
    assert not bucket.objects.keys() - {f"{BASE}/", f"{BASE}/.push/"}


def test_a_push_whose_last_answer_was_lost_says_what_is_published(
    bucket: Bucket, store: BucketVersions, model: Path
) -> None:
    bucket.lost_answer = "/1/saved_model.pb"
    with pytest.raises(PublishedError, match="Version 1 is published in .*/landcover") as it:
        push(store, model, None)
    assert it.value.number == 1
    assert store.numbers() == (1,)


def test_a_push_that_cannot_retire_says_what_is_published(
    store: BucketVersions, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(store, model, None)
    push(store, model, 1)

    def refused(*_: object) -> None:
        raise StorageError("gone")

    monkeypatch.setattr(CloudStore, "delete", refused)
    with pytest.raises(PublishedError, match="Version 3 is published"):
        push(store, model, 2, keep=0)
    assert store.numbers() == (1, 2, 3)


def test_a_number_that_another_program_took_on_the_way_is_not_overwritten(
    bucket: Bucket, store: BucketVersions, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = CloudStore.write

    def overtaken(self: CloudStore, name: str, content: bytes | Path) -> None:
        write(self, name, content)
        bucket.put(f"{BASE}/1/saved_model.pb", b"theirs")

    monkeypatch.setattr(CloudStore, "write", overtaken)
    with pytest.raises(PushError, match=r"1 was written by another program|at the same moment"):
        push(store, model, None)
    assert bucket.objects[f"{BASE}/1/saved_model.pb"] == b"theirs"
    assert not [key for key in bucket.objects if f"{BASE}/1/variables" in key]


def test_a_listing_comes_in_pages(bucket: Bucket, store: BucketVersions, model: Path) -> None:
    bucket.page_size = 2
    for after in (None, 1, 2):
        push(store, model, after)
    assert store.numbers() == (1, 2, 3)
    bucket.failing_page = True
    with pytest.raises(StorageError):
        store.numbers()


def test_a_listing_cut_short_rolls_nothing_back(
    bucket: Bucket, store: BucketVersions, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "watched"
    for after in (None, 1, 2):
        push(store, model, after)
    assert sync_versions(store, folder).fetched == (3,)
    every = set(bucket.objects)
    for gone in ("/3/saved_model.pb", "/3/", f"{BASE}/"):
        bucket.unlisted = {key for key in every if gone in key}
        (said,) = sync_versions(store, folder).failed
        assert "listing is incomplete: it lacks version 3" in said
        assert numbers(folder) == [3]
        with pytest.raises(StorageError, match="is incomplete: it lacks version 3"):
            push(store, model, 3, keep=0)
    bucket.unlisted, bucket.page_size, bucket.failing_page = set(), 2, True
    with pytest.raises(StorageError):
        sync_versions(store, folder)
    assert numbers(folder) == [3]
    assert every <= bucket.objects.keys()


def test_a_listing_cut_short_deletes_nothing(
    bucket: Bucket, store: BucketVersions, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 1 is complete, its upload folder was left behind, and its end is not listed."""
    monkeypatch.setattr(CloudStore, "delete", lambda *_: None)
    push(store, model, None)
    monkeypatch.undo()
    age(bucket)
    bucket.unlisted = {f"{BASE}/1/saved_model.pb"}
    assert push(store, model, None) == 2
    assert store.holds(1)
    assert not [key for key in bucket.objects if "/.push/1-" in key], "the room may go"


def test_what_a_store_refuses_is_reported_with_its_address(
    bucket: Bucket, store: BucketVersions, model: Path
) -> None:
    bucket.forbidden = True
    with pytest.raises(StorageError, match="://models/prod/landcover: .*credentials"):
        store.numbers()
    with pytest.raises(
        PushError, match="name a folder of models, or one at s3:// or gs:// or az://"
    ):
        version_store("minio://models/x")


def test_the_sidecar_brings_the_newest_and_keeps_some(
    store: BucketVersions, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "watched" / "landcover"
    assert sync_versions(store, folder) == SyncResult()
    push(store, model, None)
    assert sync_versions(store, folder) == SyncResult(fetched=(1,))
    assert sync_versions(store, folder) == SyncResult()
    assert model_digest(folder / "1") == model_digest(model)
    for after in (1, 2, 3):
        push(store, model, after)
        sync_versions(store, folder)
    assert numbers(folder) == [3, 4]
    assert {path.name for path in folder.iterdir()} == {"3", "4", ".push.lock"}


def test_a_version_withdrawn_from_the_store_is_a_roll_back(
    bucket: Bucket, store: BucketVersions, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "watched"
    push(store, model, None)
    push(store, model, 1)
    assert sync_versions(store, folder).fetched == (2,)
    del bucket.objects[f"{BASE}/2/saved_model.pb"]
    assert sync_versions(store, folder) == SyncResult(fetched=(1,), removed=(2,))
    bucket.objects.clear()
    assert sync_versions(store, folder) == SyncResult()
    assert numbers(folder) == [1], "an empty store takes nothing away"


@pytest.mark.parametrize("name", ["variables/variables.data-00000-of-00001", "manifest.json"])
def test_a_spoilt_version_never_appears_and_an_older_one_serves(
    bucket: Bucket, store: BucketVersions, model: Path, tmp_path: Path, name: str
) -> None:
    push(store, model, None)
    push(store, model, 1)
    key = f"{BASE}/2/{name}"
    content = bytearray(bucket.objects[key])
    content[100] ^= 1
    bucket.put(key, bytes(content))
    synced = sync_versions(store, tmp_path / "watched")
    assert synced.fetched == (1,)
    assert len(synced.failed) == 1
    assert f"2/{name}" in synced.failed[0]
    assert numbers(tmp_path / "watched") == [1]


def test_a_name_that_leads_out_of_the_version_is_refused(
    bucket: Bucket, store: BucketVersions, model: Path, tmp_path: Path
) -> None:
    push(store, model, None)
    key = f"{BASE}/1/manifest.json"
    bucket.put(key, bucket.objects[key].replace(b'"empty"', b'"../up"'))
    synced = sync_versions(store, tmp_path / "watched")
    assert "contradicts itself" in synced.failed[0]
    assert not (tmp_path / "watched" / "up").exists()


def test_a_full_disk_is_not_the_stores_fault_and_no_older_version_comes_for_it(
    store: BucketVersions, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(store, model, None)
    push(store, model, 1)

    def full(path: Path, content: object) -> None:
        next(iter(content), b"")  # type: ignore[call-overload]
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("serving.store.bucket_versions.write_durably", full)
    with pytest.raises(OSError, match="No space left on device"):
        sync_versions(store, tmp_path / "watched")
    assert {path.name for path in (tmp_path / "watched").iterdir()} == {".push.lock"}


def test_killed_at_any_write_it_leaves_whole_versions_and_recovers(
    store: BucketVersions, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rename and every finished file is an instant at which it may be killed."""
    push(store, model, None)
    first = tmp_path / "first"
    sync_versions(store, first)
    push(store, model, 1)
    from serving.store import bucket_versions

    durably, rename = bucket_versions.write_durably, Path.rename
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
            patched.setattr(bucket_versions, "write_durably", write)
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
    store = opened(s3)
    push(store, model, None)
    folder = tmp_path / "watched"
    address = [s3.uri, str(folder)]
    program = [sys.executable, "-X", "importtime", "-m", "serving.store.sync", *address]
    with subprocess.Popen(
        [*program, "--every", "0.2"], cwd=repository, stderr=subprocess.PIPE, text=True
    ) as process:
        _until(lambda: numbers(folder) == [1])
        push(store, model, 1)
        _until(lambda: numbers(folder) == [1, 2])
        process.send_signal(signal.SIGTERM)
        _, message = process.communicate(timeout=10)
    assert process.returncode == 0
    assert f"version 2 is in {folder}" in message
    assert "tensorflow" not in message
    assert "apache_beam" not in message


@pytest.mark.slow
def test_sigterm_ends_it_also_while_the_store_does_not_answer(
    s3: Service, model: Path, tmp_path: Path, repository: Path
) -> None:
    push(opened(s3), model, None)
    s3.bucket.stalled = "/1/variables"
    folder = tmp_path / "watched"
    command = [sys.executable, "-m", "serving.store.sync", s3.uri, str(folder)]
    with subprocess.Popen(command, cwd=repository) as process:
        _until(lambda: list(folder.glob(".push-*/1/*")))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    s3.bucket.stalled = ""
    s3.bucket.go_on.set()
    assert sync_versions(opened(s3), folder) == SyncResult(fetched=(1,))
    assert {path.name for path in folder.iterdir()} == {"1", ".push.lock"}


def test_one_look_tells_by_its_exit_code(s3: Service, model: Path, tmp_path: Path) -> None:
    push(opened(s3), model, None)
    assert sync.main([s3.uri, str(tmp_path / "a"), "--once"]) == 0
    s3.bucket.forbidden = True
    assert sync.main([s3.uri, str(tmp_path / "b"), "--once"]) == 1


def test_a_folder_is_a_store_as_well(model: Path, tmp_path: Path) -> None:
    """A shared disk may be the store of many local ones."""
    shared = FolderVersions(tmp_path / "shared")
    assert shared.push(model, expected_baseline=None, provenance={}, keep=1) == 1
    assert sync_versions(shared, tmp_path / "watched") == SyncResult(fetched=(1,))
    assert shared.digest(1) == model_digest(tmp_path / "watched" / "1")


def _until(true: "object", patience_s: float = 20) -> None:
    end = time.monotonic() + patience_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)
