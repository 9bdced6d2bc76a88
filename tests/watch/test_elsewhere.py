"""Sources that are not folders of this machine, by their own protocols: a bucket, a STAC API."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.ingest.config import IngestConfig
from components.ingest.photographs.config import FoldersSource, ManifestSource
from components.ingest.rasters.stac.config import StacSource
from components.raster.image import ImageSpec
from components.raster.scene.stac_query import StacQuery
from pipelines.watch.source import PolledSource
from pipelines.watch.transitions import Rules
from pipelines.watch.watcher import Watcher
from tests.components.raster_geo.test_stac import Site, item, sentinel, site  # noqa: F401
from tests.stores.s3 import Bucket
from tests.stores.services import service_on_loopback
from tests.watch.world import Clock, MemoryStore, Runs


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket `gs://imagery`."""
    with service_on_loopback("gs", "land", monkeypatch, "imagery") as service:
        for name in ("river/1.png", "river/2.png", "wood/1.png"):
            service.bucket.put(f"land/{name}", name.encode())
        yield service.bucket


def watch(source: PolledSource) -> tuple[Watcher, Clock, Runs]:
    clock, runs = Clock(), Runs(tells=False)
    watcher = Watcher("land", source, MemoryStore(), runs, Rules(120, 300), clock=clock)
    return watcher, clock, runs


def settle(watcher: Watcher, clock: Clock, runs: Runs) -> int:
    """The number of runs after a look, some time, and another."""
    runs.finish()
    watcher.step()
    clock.now += 120
    watcher.step()
    return len(runs.keys)


def test_a_bucket_is_listed_and_its_marker_waited_for(bucket: Bucket) -> None:
    source = PolledSource(IngestConfig(source=FoldersSource(uri="gs://imagery/land")), "_SUCCESS")
    watcher, clock, runs = watch(source)
    assert source.look().files == 3
    assert settle(watcher, clock, runs) == 0
    bucket.put("land/_SUCCESS", b"")
    assert settle(watcher, clock, runs) == 1
    bucket.put("other/wood/2.png", b"elsewhere")
    assert settle(watcher, clock, runs) == 1
    bucket.put("land/wood/2.png", b"new")
    bucket.changed["land/_SUCCESS"] = bucket.changed["land/river/1.png"].replace(year=2020)
    assert settle(watcher, clock, runs) == 1, "the marker is of the upload before"
    bucket.put("land/_SUCCESS", b"")
    assert settle(watcher, clock, runs) == 2
    bucket.put("land/wood/2.png", b"other bytes")
    bucket.put("land/_SUCCESS", b"")
    assert settle(watcher, clock, runs) == 3


def test_a_manifest_in_a_bucket(bucket: Bucket) -> None:
    bucket.put("land/m.csv", b"uri,label\nriver/1.png,wet\nwood/1.png,dry\n")
    source = PolledSource(IngestConfig(source=ManifestSource(uri="gs://imagery/land/m.csv")))
    before = source.look()
    assert before.files == 2
    bucket.put("land/river/2.png", b"not in the manifest")
    assert source.look().token == before.token
    bucket.put("land/wood/1.png", b"other bytes")
    assert source.look().token != before.token


def test_a_new_item_of_an_api_starts_a_run(site: Site, tmp_path: Path) -> None:  # noqa: F811
    for name in ("red.tif", "nir.tif"):
        (tmp_path / name).write_bytes(b"pixels")
    site.items = [item(1, sentinel(site.url))]
    query = StacQuery(source=f"{site.url}/api", collections=("scenes",), bands=("red", "nir"))
    config = IngestConfig(source=StacSource(query=query), image=ImageSpec(bands=("red", "nir")))
    watcher, clock, runs = watch(PolledSource(config))
    assert settle(watcher, clock, runs) == 1
    assert settle(watcher, clock, runs) == 1
    site.items = [item(2, sentinel(site.url)), *site.items]
    assert settle(watcher, clock, runs) == 2
    assert {tuple(asked["collections"]) for asked in site.searches} == {("scenes",)}
    assert site.bytes_sent == {}, "no pixel was fetched"
