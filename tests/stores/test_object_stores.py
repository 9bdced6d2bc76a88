"""One interface to a folder and to every kind of bucket, also with faults."""

import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from components.raster.errors import ConfigError
from components.raster.stores.cloud_store import CloudStore
from components.raster.stores.local_folder import LocalFolder
from components.raster.stores.object_store import (
    ABSENT,
    ObjectMissing,
    ObjectStore,
    RequestRetries,
    StorageError,
    delete_below,
)
from components.raster.stores.opening import open_object, open_store
from tests.stores.services import SECRET, Service, service_on_loopback, without_credentials

#: Names that a URL, a shell or a signature has to escape.
NAMES = ("ä 1.json", "a+b", "100%", "x%2Fy", "?a=b#c", "[1]*{2}", "~\"'`^|<>", "..x", "deep/er/x")


@pytest.fixture(params=["s3", "gs", "az"])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with service_on_loopback(request.param, "prod/land", monkeypatch) as found:
        yield found


@pytest.fixture(params=["folder", "s3", "gs", "az"])
def store(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[ObjectStore]:
    with ExitStack() as stack:
        if request.param == "folder":
            yield LocalFolder(tmp_path / "new" / "land")
        else:
            context = service_on_loopback(request.param, "prod/land", monkeypatch)
            yield stack.enter_context(context).open()


def test_objects_come_back_by_their_names(store: ObjectStore) -> None:
    assert store.listing() == {}
    for number, name in enumerate(NAMES):
        store.write(name, b"x" * number)
    assert {name: it.size_bytes for name, it in store.listing().items()} == {
        name: number for number, name in enumerate(NAMES)
    }
    assert list(store.listing("deep")) == list(store.listing("deep/er")) == ["deep/er/x"]
    assert [store.read(name) for name in NAMES] == [b"x" * number for number in range(len(NAMES))]
    assert store.read(NAMES[-1], 3) == b"xxx"
    found = store.find(NAMES[-1])
    assert found is not None
    assert found.size_bytes == len(NAMES) - 1
    assert abs(found.changed.timestamp() - time.time()) < 60


def test_a_folder_does_not_hold_its_neighbour(store: ObjectStore) -> None:
    for name in ("v1/a", "v10/a", "v1.txt"):
        store.write(name, b"")
    assert set(store.listing("v1")) == {"v1/a"}
    delete_below(store, "v1")
    assert set(store.listing()) == {"v10/a", "v1.txt"}


def test_what_is_missing_is_told_apart_from_what_is_refused(store: ObjectStore) -> None:
    assert store.find("none") is None
    assert store.revision("none").version == ABSENT
    store.delete("none")
    for call in (lambda: store.read("none"), lambda: store.copy("none", "other")):
        with pytest.raises(ObjectMissing, match="land/none: there is no such"):
            call()


def test_files_and_copies(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    store.write("a", tmp_path / "file")
    store.copy("a", "b/c")
    assert b"".join(store.chunks("b/c")) == b"content"
    store.delete("a")
    assert set(store.listing()) == {"b/c"}


def test_the_second_to_replace_one_version_is_refused(store: ObjectStore) -> None:
    assert store.replace("doc/x", b"1", ABSENT)
    assert not store.replace("doc/x", b"2", ABSENT)
    first = store.revision("doc/x")
    assert first.content == b"1"
    assert store.replace("doc/x", b"3", first.version)
    assert not store.replace("doc/x", b"4", first.version)
    assert store.read("doc/x") == b"3"
    store.delete("doc/x")
    assert not store.replace("doc/x", b"5", first.version)


def test_of_many_writers_of_one_version_one_succeeds(store: ObjectStore) -> None:
    won: list[int] = []

    def write(number: int) -> None:
        if store.replace("claim", str(number).encode(), ABSENT):
            won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.read("claim")] == [str(number).encode() for number in won]


def test_big_objects_go_in_parts_and_appear_whole(service: Service, tmp_path: Path) -> None:
    content = bytes(range(256)) * (160 << 10)
    (tmp_path / "big").write_bytes(content)
    store = service.open()
    store.write("big", tmp_path / "big")
    puts = [it for it in service.bucket.requests if it.startswith("PUT")]
    assert len(puts) >= 3, "40 MiB in parts of 16"
    assert store.read("big") == content
    assert not service.bucket.uploads


def test_a_listing_comes_in_pages_and_a_failed_page_is_an_error(service: Service) -> None:
    store, service.bucket.page_size = service.open(), 2
    for number in range(7):
        store.write(str(number), b"")
    assert len(store.listing()) == 7
    service.bucket.failing_page = True
    with pytest.raises(StorageError):
        store.listing()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_throttling_and_failing_servers_are_tried_again(service: Service, status: int) -> None:
    store = service.open()
    store.write("a", b"content")
    service.bucket.failures = [status, status]
    assert store.read("a") == b"content"
    service.bucket.failures = [status]
    store.write("a", b"other")
    assert service.bucket.objects["prod/land/a"] == b"other"


def test_retries_end(service: Service) -> None:
    store = service.open(RequestRetries(count=2, total_s=5))
    service.bucket.failures = [503] * 50
    begin = time.monotonic()
    with pytest.raises(StorageError, match="503"):
        store.find("a")
    assert time.monotonic() - begin < 5
    assert len(service.bucket.requests) == 3


def test_a_conditional_write_is_tried_once(service: Service) -> None:
    """The first attempt may have succeeded, and the second would take it for another's."""
    service.bucket.failures = [503]
    with pytest.raises(StorageError, match="503"):
        service.open().replace("a", b"1", ABSENT)
    assert len(service.bucket.requests) == 1


def test_a_copy_that_fails_after_its_answer_has_begun_is_no_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S3 sends the status 200 first, and an error in the body."""
    with service_on_loopback("s3", "land", monkeypatch) as service:
        store = service.open(RequestRetries(count=2))
        store.write("a", b"content")
        service.bucket.failing_copies = 1
        store.copy("a", "b")
        assert store.read("b") == b"content"
        service.bucket.failing_copies = 10
        with pytest.raises(StorageError, match="land/a: .*InternalError"):
            store.copy("a", "c")
        assert store.find("c") is None


def test_a_read_that_breaks_off_goes_on_where_it_was(service: Service) -> None:
    content = bytes(range(256)) * (16 << 10)
    store = service.open()
    store.write("a", content)
    service.bucket.cut_reads = 1
    assert store.read("a") == content


def test_refusals_name_the_object_and_the_remedy_but_no_secret(service: Service) -> None:
    service.bucket.forbidden = True
    store = service.open()
    for call in (lambda: store.read("a"), lambda: store.listing()):
        with pytest.raises(StorageError, match=r"models/prod/land.* 403.*credentials") as raised:
            call()
        shown = "".join(traceback.format_exception(raised.value))
        assert SECRET not in shown
        assert "\n" not in str(raised.value)


def test_a_signed_address_of_azure_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with service_on_loopback("az", "prod", monkeypatch) as service:
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
        monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", f"sv=2024-11-04&sp=rl&sig={SECRET}")
        service.bucket.forbidden = True
        with pytest.raises(StorageError, match="AZURE_STORAGE_SAS_TOKEN") as raised:
            service.open().read("a")
        assert any(SECRET in it for it in service.bucket.requests), "it was sent"
        assert SECRET not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    ("uri", "given", "message"),
    [
        ("s3://b/x", {"AWS_EC2_METADATA_DISABLED": "true"}, "no credentials for S3: set AWS_ACC"),
        ("s3://b/x", {"AWS_ACCESS_KEY_ID": "a"}, "AWS_SECRET_ACCESS_KEY is not: set both"),
        ("s3://b/x", {"AWS_PROFILE": "none"}, "none"),
        ("gs://b/x", {"GOOGLE_APPLICATION_CREDENTIALS": "/no/file"}, "/no/file cannot be read"),
        ("az://b/x", {}, "AZURE_STORAGE_ACCOUNT_NAME is not set"),
    ],
)
def test_missing_credentials_are_named(
    uri: str, given: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_credentials(monkeypatch)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageError, match=f"{uri}.*{message}"):
        open_store(uri).listing()


def test_a_store_that_cannot_be_reached_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    without_credentials(monkeypatch)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9")
    store = CloudStore("gs://bucket/x", RequestRetries(count=1))
    with pytest.raises(StorageError, match=r"gs://bucket/x.*127\.0\.0\.1:9"):
        store.listing()


def test_locations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store, name = open_object("s3://bucket/a/b.json")
    assert (store.uri, name) == ("s3://bucket/a", "b.json")
    for location in (f"{tmp_path}/c", f"file://{tmp_path}/c", "c"):
        store, name = open_object(location)
        store.write(name, location.encode())
        assert (tmp_path / "c").read_bytes() == location.encode()
    with pytest.raises(ConfigError, match="minio://x: name a folder, or a store at s3://"):
        open_store("minio://x")


def test_a_local_folder_needs_no_library_of_stores(repository: Path, tmp_path: Path) -> None:
    program = f"""
import sys
from components.raster.stores.opening import open_object
store, name = open_object({str(tmp_path / "a")!r})
store.write(name, b"1")
assert not {{"obstore", "boto3", "google.auth"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], cwd=repository, check=True)
