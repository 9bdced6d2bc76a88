"""A pipeline's source as a watch sees it: markers, STAC, and no framework for local files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.ingest.config import IngestConfig
from components.ingest.photographs.config import FoldersSource
from components.ingest.rasters.stac.config import StacSource
from components.raster.image import ImageSpec
from components.raster.scene.stac_query import StacQuery
from pipelines.config.tree import parse_config
from pipelines.definition.resolve import resolve
from pipelines.watch.source import PolledSource
from pipelines.watch.state import WatchError


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images" / "river").mkdir(parents=True)
    (tmp_path / "images" / "river" / "1.png").write_bytes(b"1")
    return tmp_path / "images"


def source_of(images: Path, marker: str | None = None) -> PolledSource:
    return PolledSource(IngestConfig(source=FoldersSource(uri=str(images))), marker)


def test_the_fingerprint_is_that_of_runs(images: Path) -> None:
    tree = {
        "name": "land",
        "ingest": {"source": {"kind": "folders", "uri": str(images)}},
        "push": {"model_dir": "models"},
    }
    config = parse_config(tree, base_dir=str(images))
    assert source_of(images).fingerprint() == resolve(config).fingerprint


def test_a_marker_has_to_be_there_and_younger_than_the_data(images: Path) -> None:
    source, marker = source_of(images, "_SUCCESS"), images / "_SUCCESS"
    assert not source.look().ready
    marker.touch()
    assert source.look().ready
    os.utime(images / "river" / "1.png", (1000, 1000))
    os.utime(marker, (999, 999))
    assert not source.look().ready, "it is of the upload before"
    os.utime(marker, (1000, 1000))
    assert source.look().ready


def test_a_source_that_is_away_is_an_error_in_words(tmp_path: Path) -> None:
    away = source_of(tmp_path / "away")
    for call in (away.look, away.fingerprint):
        with pytest.raises(WatchError, match="no folder"):
            call()


def item(name: str, href: str) -> dict:
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "geometry": None,
        "properties": {"datetime": "2026-03-01T00:00:00Z"},
        "links": [],
        "assets": {"red": {"href": href, "type": "image/tiff", "roles": ["data"]}},
    }


def test_a_new_item_of_a_catalogue_is_news_and_its_assets_are_not_fetched(tmp_path: Path) -> None:
    path = tmp_path / "items.json"
    nowhere = "https://127.0.0.1:9/"  # asking there would fail at once

    def publish(*items: dict) -> None:
        path.write_text(json.dumps({"type": "FeatureCollection", "features": list(items)}))

    query = StacQuery(source=str(path), assets=("red",))
    source = PolledSource(
        IngestConfig(source=StacSource(query=query), image=ImageSpec(bands=("red",)))
    )
    publish(item("a", nowhere + "a.tif?signature=1"))
    first = source.look().token
    publish(item("a", nowhere + "a.tif?signature=2"))
    assert source.look().token == first, "a signature is not news"
    publish(item("a", nowhere + "a.tif"), item("b", nowhere + "b.tif"))
    assert source.look().token != first


def test_watching_a_folder_loads_no_framework(images: Path, tmp_path: Path) -> None:
    (tmp_path / "skymill.yaml").write_text(
        "name: land\ningest: {source: {kind: folders, uri: images}}\npush: {model_dir: models}\n"
        "watch: {settle_s: 1000}\n"
    )
    code = (
        "import sys; from pipelines.cli.main import cli;"
        "cli(['watch', 'skymill.yaml', '--once'], standalone_mode=False);"
        "heavy = {'tensorflow', 'tfx', 'apache_beam', 'keras', 'kfp', 'kubernetes'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "changed" in done.stderr


def test_of_a_source_in_spans_the_newest_is_watched(tmp_path: Path) -> None:
    source = PolledSource(
        IngestConfig(source=FoldersSource(uri=str(tmp_path / "{SPAN}"))), "_SUCCESS"
    )
    with pytest.raises(WatchError, match="no span at"):
        source.look()
    seen = []
    for span in (9, 10):
        (tmp_path / str(span) / "river").mkdir(parents=True)
        (tmp_path / str(span) / "river" / "1.png").write_bytes(b"%d" % span)
        assert not source.look().ready, "the marker of the span before says nothing"
        (tmp_path / str(span) / "_SUCCESS").touch()
        assert source.look().ready
        seen.append((source.look().token, source.fingerprint()))
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]
