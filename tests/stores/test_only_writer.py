"""One writer at a time into a place of an object store."""

import time

import pytest

from components.raster.errors import TransientDataError
from components.raster.stores.only_writer import only_writer
from components.raster.stores.opening import open_store
from pipelines.prediction.output import PredictionPaths, only_run_into
from tests.stores.services import service_on_loopback

_REFUSAL = TransientDataError("another run")


@pytest.fixture(params=["s3", "gs", "az", "folder"])
def place(request, tmp_path, monkeypatch):
    if request.param == "folder":
        yield str(tmp_path)
        return
    with service_on_loopback(request.param, "answers", monkeypatch) as service:
        yield service.uri


def test_a_second_writer_is_refused_while_the_first_lives(place, monkeypatch):
    monkeypatch.setattr(f"{only_writer.__module__}._POLL_S", 0.1)
    begin = time.monotonic()
    with only_writer(open_store(place), ".lock", _REFUSAL, lease_s=1):
        with pytest.raises(TransientDataError), only_writer(open_store(place), ".lock", _REFUSAL):
            raise AssertionError("two at once")
        with only_writer(open_store(place), "other/.lock", _REFUSAL, lease_s=1):
            time.sleep(max(0, begin + 1.5 - time.monotonic()))  # longer than the lease
        with pytest.raises(TransientDataError), only_writer(open_store(place), ".lock", _REFUSAL):
            raise AssertionError("two at once")
    assert open_store(place).listing() == {}
    with only_writer(open_store(place), ".lock", _REFUSAL):
        pass


def test_the_lock_of_a_dead_writer_is_taken_after_its_lease(tmp_path):
    store = open_store(str(tmp_path))
    store.write(".lock", b"dead 7")
    with only_writer(store, ".lock", _REFUSAL, lease_s=0.2):
        assert not store.read(".lock").startswith(b"dead")
    assert store.listing() == {}


def test_a_writer_that_lost_its_lock_says_so_and_leaves_that_of_the_other(tmp_path):
    store = open_store(str(tmp_path))
    with pytest.raises(TransientDataError), only_writer(store, ".lock", _REFUSAL):
        store.write(".lock", b"other 1")
    assert store.read(".lock") == b"other 1"


def test_of_two_runs_into_one_place_of_a_store_the_second_is_refused(monkeypatch):
    monkeypatch.setattr(f"{only_writer.__module__}._BEATS", 300)  # the refusal waits for a beat
    with service_on_loopback("s3", "answers", monkeypatch) as service:
        paths = PredictionPaths(service.uri, 1, "parquet")
        with (
            only_run_into(paths),
            pytest.raises(TransientDataError, match=f"another run writes into {service.uri}"),
            only_run_into(PredictionPaths(f"{service.uri}/", 1, "maps")),
        ):
            raise AssertionError("two at once")
        assert service.bucket.objects == {}
