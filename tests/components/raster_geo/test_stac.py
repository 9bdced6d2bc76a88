"""Scenes from STAC files, catalogues and an API, from a server on this machine."""

import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from pydantic import ValidationError

from components.raster.errors import DataError
from components.raster.reasons import Reason
from components.raster.scene.probe import open_scene
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.stac import find_stac_scenes
from components.raster.scene.stac_query import StacQuery
from components.raster.tiles.key import Window
from components.raster.tiles.reading import read_window
from components.raster.tiles.view import view_scene
from tests.loopback import QuietHandler, http_server

GEOTIFF = "image/tiff; application=geotiff; profile=cloud-optimized"


@dataclass
class Site:
    """Files of the stand-in server, and the requests that it got."""

    root: Path
    url: str = ""
    items: list[dict[str, Any]] = field(default_factory=list)
    bytes_sent: dict[str, int] = field(default_factory=dict)
    searches: list[dict[str, Any]] = field(default_factory=list)

    def document(self, path: str) -> dict[str, Any] | None:
        if path != "/api":
            return None
        links = [
            {"rel": rel, "href": self.url + place, "type": "application/json"}
            for rel, place in (("self", "/api"), ("root", "/api"))
        ]
        search = {"rel": "search", "href": f"{self.url}/search", "type": "application/geo+json"}
        conforms = ["https://api.stacspec.org/v1.0.0/core"]
        conforms.append("https://api.stacspec.org/v1.0.0/item-search")
        return {
            "type": "Catalog", "id": "api", "description": "", "stac_version": "1.0.0",
            "conformsTo": conforms, "links": [*links, {**search, "method": "POST"}],
        }  # fmt: skip

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        """Two items a page, newest first, filtered by collection only."""
        self.searches.append(body)
        start = int(body.get("token", 0))
        wanted = body.get("collections")
        found = [i for i in self.items if not wanted or i["collection"] in wanted]
        page: dict[str, Any] = {
            "type": "FeatureCollection",
            "features": found[start : start + 2],
            "links": [],
        }
        if start + 2 < len(found):
            page["links"].append(
                {"rel": "next", "href": f"{self.url}/search", "method": "POST", "merge": True,
                 "body": {"token": str(start + 2)}}
            )  # fmt: skip
        return page


def handler_of(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(QuietHandler):
        def do_HEAD(self) -> None:
            self._file(with_body=False)

        def do_GET(self) -> None:
            document = site.document(self.path)
            if document is not None:
                self._send(json.dumps(document).encode())
            else:
                self._file(with_body=True)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._send(json.dumps(site.search(json.loads(body))).encode())

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _file(self, *, with_body: bool) -> None:
            path = site.root / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            content, status = path.read_bytes(), 200
            total, wanted = len(content), self.headers.get("Range")
            self.close_connection = False
            headers = {"Accept-Ranges": "bytes"}
            if wanted:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                end = min(int(last) + 1 if last else total, total)
                content, status = content[int(first) : end], 206
                headers["Content-Range"] = f"bytes {first}-{end - 1}/{total}"
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_body:
                site.bytes_sent[self.path] = site.bytes_sent.get(self.path, 0) + len(content)
                self.wfile.write(content)

    return Handler


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server on the loopback interface."""
    found = Site(tmp_path)
    with http_server(handler_of(found)) as found.url:
        yield found


def item(number: int, assets: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """An item over ten degrees that begin at its number times ten."""
    west = number * 10.0
    ring = [[west, 0], [west + 9, 0], [west + 9, 9], [west, 9], [west, 0]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": f"item-{number}",
        "collection": "scenes",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, 0, west + 9, 9],
        "properties": {
            "datetime": f"202{number}-06-01T10:00:00Z",
            "eo:cloud_cover": number * 10,
            "platform": "sentinel-2a",
            "instruments": ["msi"],
            **properties,
        },
        "links": [],
        "assets": assets,
    }


def asset(href: str, *common: str, **extra: Any) -> dict[str, Any]:
    bands = [{"name": f"B{place}", "common_name": name} for place, name in enumerate(common, 1)]
    return {"href": href, "type": GEOTIFF, "roles": ["data"], "eo:bands": bands, **extra}


def sentinel(root: str) -> dict[str, Any]:
    """Assets as the public Sentinel-2 catalogues have them."""
    return {
        "red": asset(f"{root}/red.tif", "red"),
        "nir": asset(f"{root}/nir.tif", "nir"),
        "visual": asset(f"{root}/visual.tif", "red", "green", "blue", roles=["visual"]),
        "red-jp2": asset(f"{root}/red.jp2", "red", type="image/jp2"),
        "thumbnail": {"href": f"{root}/thumb.jpg", "type": "image/jpeg", "roles": ["thumbnail"]},
    }


def write(path: Path, items: list[dict[str, Any]]) -> str:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return str(path)


def test_items_of_a_file_are_filtered_by_place_time_and_cloud(tmp_path: Path) -> None:
    source = write(tmp_path / "items.json", [item(n, sentinel("/data")) for n in range(5)])

    def ids(**options: Any) -> list[str]:
        found = find_stac_scenes(StacQuery(source=source, bands=("red",), **options))
        return [scene.scene_id.removeprefix("scenes/item-") for scene in found.sources]

    assert ids() == list("01234")
    assert ids(bbox=(15, 5, 25, 6)) == list("12")
    assert ids(start=datetime.date(2021, 6, 1), end=datetime.date(2023, 6, 1)) == list("123")
    assert ids(max_cloud_cover_percent=20) == list("012")
    assert ids(collections=("others",)) == []
    assert ids(max_items=2) == list("01")


@pytest.mark.parametrize(("most", "ignored"), [(2, {"(beyond_max_items)": 1}), (3, {})])
def test_items_beyond_the_most_are_reported(
    tmp_path: Path, most: int, ignored: dict[str, int]
) -> None:
    items = [item(n, sentinel("/data")) for n in range(5)]
    query = StacQuery(
        source=write(tmp_path / "items.json", items), max_cloud_cover_percent=20, max_items=most
    )
    assert find_stac_scenes(query).ignored == ignored  # three items have so few clouds


def test_a_scene_has_what_its_item_tells(tmp_path: Path) -> None:
    source = write(tmp_path / "items.json", [item(1, sentinel("/data"))])
    [scene] = find_stac_scenes(StacQuery(source=source, bands=("nir", "red"))).sources
    assert scene.scene_id == "scenes/item-1"
    assert scene.acquired == "2021-06-01T10:00:00+00:00"
    assert scene.sensor == "sentinel-2a_msi"
    assert scene.cloud_cover_percent == 10
    # In the order asked for; the GeoTIFF and not the JPEG 2000 file or the picture.
    assert [file.path for file in scene.files] == ["/data/nir.tif", "/data/red.tif"]
    assert [file.common_names for file in scene.files] == [("nir",), ("red",)]


def test_assets_are_chosen_by_key(tmp_path: Path) -> None:
    source = write(tmp_path / "items.json", [item(1, sentinel("/data"))])
    [scene] = find_stac_scenes(StacQuery(source=source, assets=("visual",))).sources
    assert scene.files[0].band_names == ("B1", "B2", "B3")
    every = find_stac_scenes(StacQuery(source=source)).sources[0]
    assert [file.band_names[0] for file in every.files] == ["red", "nir", "red-jp2"]
    found = find_stac_scenes(StacQuery(source=source, assets=("swir",)))
    assert [reject.reason for reject in found.rejects] == [Reason.NO_ASSET]
    assert "no asset swir. It has red, nir" in found.rejects[0].detail


def test_a_band_in_two_assets_is_no_guess(tmp_path: Path) -> None:
    assets = {"a": asset("/a.tif", "red"), "b": asset("/b.tif", "red")}
    source = write(tmp_path / "items.json", [item(1, assets)])
    [reject] = find_stac_scenes(StacQuery(source=source, bands=("red",))).rejects
    assert reject.reason is Reason.AMBIGUOUS_BAND


@pytest.mark.parametrize("href", ["file:///etc/passwd", "ftp://host/a.tif", "/vsimem/a.tif"])
def test_a_remote_catalogue_cannot_name_files_of_this_machine(site: Site, href: str) -> None:
    write(site.root / "items.json", [item(1, {"a": asset(href, "red")})])
    query = StacQuery(source=f"{site.url}/items.json", assets=("a",))
    [reject] = find_stac_scenes(query).rejects
    assert reject.reason is Reason.BAD_METADATA


def test_a_static_catalogue_is_walked_and_its_paths_are_relative(
    tmp_path: Path, write_raster: Any, numbered_pixels: Any
) -> None:
    raster = write_raster(numbered_pixels(8, 8), "stac/red.tif")
    described = item(1, {"red": asset("./red.tif", "red")})
    (raster.parent / "item.json").write_text(json.dumps(described))
    catalogue = {
        "type": "Collection", "id": "scenes", "stac_version": "1.0.0", "description": "",
        "license": "CC0-1.0",
        "extent": {"spatial": {"bbox": [[0, 0, 1, 1]]}, "temporal": {"interval": [[None, None]]}},
        "links": [{"rel": "item", "href": "./item.json"}],
    }  # fmt: skip
    (raster.parent / "collection.json").write_text(json.dumps(catalogue))
    query = StacQuery(source=str(raster.parent / "collection.json"), bands=("red",))
    [found] = find_stac_scenes(query).sources
    scene = open_scene(found)
    assert scene.band_names == ("red",)
    assert scene.acquired == "2021-06-01T10:00:00+00:00"


def test_an_api_is_searched_page_by_page(site: Site) -> None:
    site.items = [item(n, sentinel(site.url)) for n in range(5)]
    query = StacQuery(
        source=f"{site.url}/api",
        collections=("scenes",),
        bands=("red",),
        bbox=(0, 0, 60, 9),
        start=datetime.date(2021, 1, 1),
        max_cloud_cover_percent=30,
    )
    found = find_stac_scenes(query)
    assert [scene.scene_id for scene in found.sources] == [f"scenes/item-{n}" for n in (1, 2, 3)]
    assert len(site.searches) == 3
    assert site.searches[0]["bbox"] == [0, 0, 60, 9]
    assert site.searches[0]["datetime"].startswith("2021-01-01T00:00:00Z/")


def test_a_tile_of_a_remote_scene_is_read_by_ranges(
    site: Site, shared_data: Callable[[str], Path]
) -> None:
    path = shared_data("geotiff_multiband") / "riotiler_cog_nodata.tif"
    (site.root / "scene.tif").write_bytes(path.read_bytes())
    write(site.root / "items.json", [item(1, {"b1": asset(f"{site.url}/scene.tif")})])
    query = StacQuery(source=f"{site.url}/items.json", assets=("b1",))
    [found] = find_stac_scenes(query).sources
    scene = open_scene(found)
    assert scene.band_names == ("b1",)
    view = view_scene(scene)
    pixels, valid = read_window(view, Window(1024, 1024, 256, 256))
    with rasterio.open(path) as dataset:
        expected = dataset.read(1)[1024:1280, 1024:1280]
    np.testing.assert_array_equal(pixels[..., 0], expected)
    np.testing.assert_array_equal(valid, expected != 1)
    assert 0 < site.bytes_sent["/scene.tif"] < path.stat().st_size / 4


def test_a_scene_that_cannot_be_fetched_is_a_reject(site: Site) -> None:
    write(site.root / "items.json", [item(1, {"b1": asset(f"{site.url}/missing.tif")})])
    query = StacQuery(source=f"{site.url}/items.json", assets=("b1",))
    [found] = find_stac_scenes(query).sources
    with pytest.raises(SceneRejected) as caught:
        open_scene(found)
    assert caught.value.reason is Reason.UNREADABLE
    assert "404" in caught.value.detail


def test_sources_that_are_not_stac_are_refused(tmp_path: Path, site: Site) -> None:
    text = tmp_path / "text.json"
    text.write_text("[]")
    for source in (str(text), str(tmp_path / "missing.json"), f"{site.url}/missing"):
        with pytest.raises(DataError, match="cannot be used"):
            find_stac_scenes(StacQuery(source=source))
    with pytest.raises(ValidationError, match="not both"):
        StacQuery(source="a", assets=("b",), bands=("red",))
    with pytest.raises(ValidationError, match="start must not be later"):
        StacQuery(source="a", start=datetime.date(2022, 1, 1), end=datetime.date(2021, 1, 1))


def test_an_item_whose_scale_cannot_be_applied_is_a_reject(tmp_path: Path) -> None:
    sound = {"a": asset("/a.tif", "red", **{"raster:bands": [{"scale": 1e-4, "offset": -0.1}]})}
    broken = ([{"scale": 0}], [{"scale": "much"}], ["no object"], 7)
    items = [item(0, sound)]
    for number, stated in enumerate(broken, 1):
        items.append(item(number, {"a": asset("/a.tif", "red", **{"raster:bands": stated})}))
    found = find_stac_scenes(StacQuery(source=write(tmp_path / "items.json", items)))
    assert [source.files[0].scalings for source in found.sources] == [((1e-4, -0.1),)]
    assert [it.reason for it in found.rejects] == [Reason.BAD_METADATA] * len(broken)
    assert "asset a: its scale or offset cannot be used" in found.rejects[0].detail
