"""Every store keeps one document, and no writer overwrites a version that it has not read."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from kubernetes import client

from components.raster.stores.object_store import StorageError
from pipelines.config.tree import parse_config
from pipelines.watch.configmap_store import ConfigMapStore
from pipelines.watch.opening import open_store
from pipelines.watch.sqlite_store import SqliteStore
from pipelines.watch.state import Active, Sighting, WatchError, WatchState, from_text, to_text
from pipelines.watch.state_store import BucketStore, StateStore, load, update
from pipelines.watch.transitions import observed
from tests.stores.s3 import Bucket
from tests.stores.services import service_on_loopback
from tests.watch.kubernetes_api import TOKEN, Cluster, kubernetes_api
from tests.watch.writers import attempts_counted_by_writers


@dataclass
class Place:
    """Opens the same store several times, as several watchers would."""

    open: Callable[[], StateStore]
    cluster: Cluster | None = None
    bucket: Bucket | None = None


def cluster_store(url: str, token: str = TOKEN, pipeline: str = "land") -> ConfigMapStore:
    settings = client.Configuration(host=url)
    settings.api_key["authorization"] = f"Bearer {token}"
    settings.retries = False
    api = client.CoreV1Api(client.ApiClient(settings))
    return ConfigMapStore(api, "kubeflow", "skymill-watch", pipeline)


@pytest.fixture(params=["sqlite", "configmap", "s3", "gs", "az"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield Place(lambda: SqliteStore(str(tmp_path / "new" / "watch.sqlite"), "land"))
        elif request.param == "configmap":
            cluster = stack.enter_context(kubernetes_api())
            kept = {"metadata": {"labels": {"app": "skymill"}}, "data": {"note": "by hand"}}
            cluster.put("kubeflow", "skymill-watch", kept)
            yield Place(lambda: cluster_store(cluster.url), cluster)
        else:
            context = service_on_loopback(request.param, "watch/ä 1.json", monkeypatch)
            service = stack.enter_context(context)
            yield Place(lambda: BucketStore(service.uri), bucket=service.bucket)


def test_the_second_to_write_over_one_version_is_refused(place: Place) -> None:
    one, other = place.open(), place.open()
    first = one.read()
    assert first.text is None
    assert other.read() == first
    assert one.write('{"a": 1}', first.version)
    assert not other.write('{"a": 2}', first.version)
    second = other.read()
    assert second.text == '{"a": 1}'
    assert other.write('{"a": 3}', second.version)
    assert not one.write('{"a": 4}', second.version)
    assert one.read().text == '{"a": 3}'


def test_no_change_is_lost_to_another(place: Place) -> None:
    assert attempts_counted_by_writers(place.open) == 15


def test_what_does_not_change_is_not_written(place: Place) -> None:
    store = place.open()
    update(store, lambda _: WatchState(active=Active(fingerprint="f", turn=1, since=0)))
    before = store.read()
    update(store, lambda old: old)
    assert store.read() == before


def test_a_store_that_cannot_be_reached_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    away = "http://127.0.0.1:9"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", away)
    for store, words in (
        (SqliteStore(str(tmp_path / "file" / "watch.sqlite"), "land"), "watch.sqlite"),
        (cluster_store(away), "ConfigMap kubeflow/skymill-watch"),
        (BucketStore("gs://bucket/x"), "gs://bucket/x"),
    ):
        with pytest.raises((WatchError, StorageError), match=words):
            store.write("{}", "0")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "watch.sqlite").write_text("no database at all, but long enough to be read as one")
    with pytest.raises(WatchError, match="cannot be read or written"):
        SqliteStore(str(tmp_path / "watch.sqlite"), "land").read()


def test_one_file_holds_several_pipelines_and_survives_a_crash(tmp_path: Path) -> None:
    path = str(tmp_path / "watch.sqlite")
    assert SqliteStore(path, "land").write("1", "0")
    assert SqliteStore(path, "sea").write("2", "0")
    assert SqliteStore(path, "land").read().text == "1"
    with sqlite3.connect(path) as rows:
        assert rows.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_rest_of_a_configmap_stays() -> None:
    with kubernetes_api() as cluster:
        kept = {"metadata": {"labels": {"app": "skymill"}}, "data": {"note": "by hand"}}
        cluster.put("kubeflow", "skymill-watch", kept)
        store = cluster_store(cluster.url)
        assert store.write("{}", store.read().version)
        found = cluster.maps["kubeflow", "skymill-watch"]
        assert found["data"] == {"note": "by hand", "land": "{}"}
        assert found["metadata"]["labels"] == {"app": "skymill"}
        assert {verb for verb, _ in cluster.asked} == {"get", "update"}
        assert {name for _, name in cluster.asked} == {"skymill-watch"}


def test_one_configmap_holds_several_pipelines() -> None:
    with kubernetes_api() as cluster:
        cluster.put("kubeflow", "skymill-watch", {})
        land, sea = (cluster_store(cluster.url, pipeline=name) for name in ("land", "sea_2"))
        land.write("1", land.read().version)
        assert sea.read().text is None
        sea.write("2", sea.read().version)
        assert (land.read().text, sea.read().text) == ("1", "2")
        assert cluster.maps["kubeflow", "skymill-watch"]["data"] == {"land": "1", "sea_2": "2"}


def test_an_object_is_one_pipelines_and_no_other_takes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def opened(name: str) -> StateStore:
        tree = {
            "name": name,
            "ingest": {"source": {"kind": "folders", "uri": "images"}},
            "push": {"model_dir": "models"},
            "watch": {"state": {"kind": "object", "uri": "s3://models/watch.json"}},
        }
        return open_store(parse_config(tree, base_dir="/"))

    with service_on_loopback("s3", "watch.json", monkeypatch) as service:
        bucket = service.bucket
        land, sea = opened("land"), opened("sea")
        update(land, lambda old: observed(old, "t", 1.0))
        kept = bucket.objects["watch.json"]
        for call in (load, lambda store: update(store, lambda old: observed(old, "u", 2.0))):
            with pytest.raises(WatchError, match=r"s3://models/watch\.json: holds .* land, .* sea"):
                call(sea)
        assert bucket.objects["watch.json"] == kept
        update(land, lambda old: observed(old, "u", 2.0))
        assert load(opened("land")).sighting == Sighting(token="u", since=2.0)


def test_what_a_cluster_refuses_is_said_in_words() -> None:
    with kubernetes_api() as cluster:
        with pytest.raises(WatchError, match=r"404.*kubectl apply -k k8s/trigger/base"):
            cluster_store(cluster.url).read()
        cluster.put("kubeflow", "skymill-watch", {})
        with pytest.raises(WatchError, match="401"):
            cluster_store(cluster.url, "wrong").read()
        cluster.allowed.discard("update")
        store = cluster_store(cluster.url)
        with pytest.raises(WatchError, match=r"403.*needs get and update"):
            store.write("{}", store.read().version)


def test_a_state_comes_back_as_it_was_and_nothing_else_passes_for_one() -> None:
    state = WatchState(active=Active(fingerprint="f", turn=2, since=1.5, error="why"))
    assert from_text(to_text(state), "here") == state
    assert from_text(None, "here") == WatchState()
    for text in ("[]", '{"seen": 1}', "half a docu"):
        with pytest.raises(WatchError, match="here: holds no state"):
            from_text(text, "here")
    with pytest.raises(WatchError, match="another release"):
        from_text('{"format": 2}', "here")


def test_a_full_disk_is_named_with_the_path(tmp_path: Path, monkeypatch) -> None:
    """SQLite's own error: its pages are used up."""
    real = sqlite3.connect

    def small(*args, **kwargs):
        rows = real(*args, **kwargs)
        rows.execute("PRAGMA max_page_count = 1")
        return rows

    monkeypatch.setattr(sqlite3, "connect", small)
    store = SqliteStore(str(tmp_path / "watch.sqlite"), "land")
    with pytest.raises(WatchError, match=r"is full. Make room there, or set watch.state.path"):
        store.write("{}", "0")
