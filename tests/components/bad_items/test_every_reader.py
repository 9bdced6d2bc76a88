"""Any exception of a library, wherever it is called, becomes one of our errors or a reject."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import affine
import numpy as np
import pyogrio.errors
import pystac
import pystac_client.exceptions
import pytest
import rasterio._err
import rasterio.errors
import shapely

from components.ingest.config import IngestConfig
from components.ingest.look import look, look_at_tiles
from components.ingest.sources import survey
from components.raster.errors import SkymillError
from components.raster.scene.grid import crs_of
from components.raster.scene.stac import find_stac_scenes
from components.raster.scene.stac_query import StacQuery
from serving.client.geotiff import geotiff_payload
from serving.client.raster_reading import RasterReading
from tests.components.bad_items.conftest import (
    feature,
    noise,
    run,
    square,
    tree,
    write_features,
)
from tests.components.bad_items.test_labels import ITEM

RAISED = (
    rasterio._err.CPLE_AppDefinedError(3, 1, "Point outside of projection domain"),
    rasterio._err.CPLE_NotSupportedError(3, 6, "Cannot find coordinate operations"),
    rasterio._err.CPLE_OpenFailedError(3, 4, "not recognized"),
    rasterio.errors.RasterioIOError("read failed"),
    rasterio.errors.WindowError("no window"),
    rasterio.errors.CRSError("The PROJ4 dict could not be understood"),
    shapely.errors.GEOSException("IllegalArgumentException: not closed"),
    pyogrio.errors.DataSourceError("cannot open"),
    pyogrio.errors.FeatureError("cannot read feature 3"),
    pystac.errors.STACError("no item"),
    pystac.errors.RequiredPropertyMissing({}, "href"),
    pystac_client.exceptions.APIError("500"),
    affine.TransformNotInvertibleError("Cannot invert degenerate transform"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    OSError(5, "Input/output error"),
    NotImplementedError("nonlinear geometry"),
    RecursionError("maximum recursion depth exceeded"),
    OverflowError("too large"),
    SystemError("returned a result with an exception set"),
)
#: Raised where documents are taken apart.
OF_DOCUMENTS = (*RAISED, KeyError("id"), TypeError("no list"), AttributeError("no get"))

_VECTORS = "components.raster.labels.vectors"
#: Functions of libraries, as the modules that read something call them.
READERS = (
    "rasterio.io.DatasetReader",
    "rasterio.io.DatasetReader.read",
    "rasterio.io.DatasetReader.tags",
    "rasterio.io.DatasetReader.overviews",
    "rasterio.io.DatasetReader.block_windows",
    "components.raster.scene.gdal.crs_text",
    "rasterio.warp.transform",
    "rasterio.warp.calculate_default_transform",
    "rasterio.warp.transform_bounds",
    "components.raster.tiles.reader.WarpedVRT",
    "rasterio.features.rasterize",
    "pyogrio.list_layers",
    "pyogrio.read_info",
    "pyogrio.raw.read",
    f"{_VECTORS}.crs_text",
    *(
        f"shapely.{name}"
        for name in (
            "area", "bounds", "covers", "force_2d", "from_wkb", "get_coordinates", "get_type_id",
            "intersection", "intersects", "is_empty", "is_valid", "make_valid", "polygons",
            "prepare", "segmentize", "STRtree", "to_wkb", "touches", "transform", "union_all",
        )
    ),
)  # fmt: skip


@pytest.fixture
def sources(two_tiles, write_raster, tmp_path) -> Callable[[], list[Any]]:
    """Sources that reach every reader, each read by everything that reads sources."""
    crossing = [[500_000, 5_300_000], [500_320, 5_299_680], [500_320, 5_300_000]]
    bow = [*crossing, [500_000, 5_299_680], crossing[0]]
    fields = [feature(bow, crop="a"), feature(square(500_320, 5_300_000), crop="b")]
    shapes = write_features(tmp_path / "labels.geojson", fields)
    around = square(499_000, 5_301_000, 3000)
    area = write_features(tmp_path / "area.geojson", [feature(around, split="train")])
    classes = write_raster(noise(16, 32) % 2 + 1, str(tmp_path / "classes.tif"))
    write_raster(noise() % 2 + 1, str(tmp_path / "masks" / "good.tif"))
    legend = {"values": {1: "a", 2: "b"}}
    labelled = {"kind": "shapes", "path": shapes, "class_field": "crop"}
    trees = [
        tree(two_tiles, labels=labelled, target={"to": "class"}, area=area),
        tree(two_tiles, labels=labelled, target={"to": "mask", "background": "b"}),
        tree(two_tiles, labels=labelled, target={"to": "boxes"}),
        tree(two_tiles, split_by={"by": "area", "path": area}),
        tree(two_tiles, warp={"gsd_m": 20}, size=8, split_by={"by": "block", "block_m": 1000}),
        tree(
            two_tiles,
            labels={"kind": "masks", "folder": str(tmp_path / "masks"), "legend": legend},
            target={"to": "class"},
        ),
        tree(
            two_tiles,
            labels={"kind": "class_raster", "path": str(classes), "legend": legend},
            target={"to": "mask"},
        ),
    ]
    chips = {"kind": "chips", "uri": str(two_tiles.parent / "chips")}
    write_raster(noise(), str(two_tiles.parent / "chips" / "a" / "chip.tif"))
    whole = {"height_px": 32, "width_px": 64, "bands": ["B1"]}
    by_tile = {"by": "tile", "insist": True}
    of_chips = IngestConfig.model_validate({"source": chips, "image": whole, "split_by": by_tile})

    def read() -> list[Callable[[], Any]]:
        configs = [IngestConfig.model_validate(one) for one in trees]
        return [
            *(lambda one=one: run(one) for one in trees),
            *(lambda one=one: survey(one) for one in configs),
            *(lambda one=one: look(one, count=4) for one in [*configs, of_chips]),
            lambda: look_at_tiles(configs[0]),
            lambda: survey(of_chips),
            lambda: geotiff_payload(two_tiles / "good.tif", RasterReading()),
        ]

    return read


def raising(error: Exception, reached: list[Exception] | None = None) -> Callable[..., Any]:
    """A function that raises an error, and notes that it did."""

    def call(*args: Any, **options: Any) -> Any:
        if reached is not None:
            reached.append(error)
        raise error.with_traceback(None)

    return call


def outcome(reading: Callable[[], Any]) -> str:
    """Returns the error or the rejects of a reading that cannot use its items; else nothing."""
    crs_of.cache_clear()
    try:
        found = reading()
    except SkymillError as refused:
        return str(refused)
    return " ".join(reject.detail for reject in getattr(found, "rejects", ()))


def reaching(
    readings: Sequence[Callable[[], Any]], reader: str
) -> Iterator[tuple[Callable[[], Any], str]]:
    """Yields the readings that call a reader, with their messages when it raises."""
    for turn, reading in enumerate(readings):
        reached: list[Exception] = []
        with pytest.MonkeyPatch.context() as patch:
            error = RAISED[(READERS.index(reader) + turn) % len(RAISED)]
            patch.setattr(reader, raising(error, reached))
            message = outcome(reading)
        if reached:
            yield reading, message


@pytest.mark.parametrize("reader", READERS)
def test_what_a_library_raises_is_an_error_of_ours_or_a_reject(sources, reader):
    """Each reader with an exception, over the first source that reaches it."""
    _, message = next(reaching(sources(), reader))
    assert len(message) < 2000


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_whatever_a_library_raises_is_reported_as_an_error_of_ours_or_a_reject(
    monkeypatch, sources, reader
):
    """Each reader over all sources, which tell at least once; the first with all exceptions."""
    found = list(reaching(sources(), reader))
    assert any(message for _, message in found)
    reading, _ = found[0]
    for error in RAISED:
        with monkeypatch.context() as patch:
            patch.setattr(reader, raising(error))
            outcome(reading)


@pytest.mark.parametrize(
    "reader",
    [
        "pystac.Item.from_dict",
        "pystac.Catalog.from_file",
        "pystac.Link.resolve_stac_object",
        "components.raster.scene.stac.StacApiIO.read_text",
        "components.raster.scene.stac.parse_json",
        "shapely.geometry.shape",
        "shapely.intersects",
    ],
)
@pytest.mark.parametrize("error", OF_DOCUMENTS, ids=lambda error: type(error).__name__)
def test_what_a_catalogue_s_client_raises_is_an_error_of_ours_or_a_reject(
    monkeypatch, tmp_path, reader, error
):
    item, top = tmp_path / "item.json", tmp_path / "top.json"
    item.write_text(json.dumps({**ITEM, "id": "a"}))
    links = [{"rel": "item", "href": "./item.json"}]
    catalogue = {"type": "Catalog", "id": "top", "stac_version": "1.0.0", "description": ""}
    top.write_text(json.dumps({**catalogue, "links": links}))
    queries = [
        StacQuery(source=str(path), assets=("red",), bbox=(1, 1, 2, 2)) for path in (item, top)
    ]
    assert [len(find_stac_scenes(query).sources) for query in queries] == [1, 1]
    monkeypatch.setattr(reader, raising(error))
    message = 0
    for query in queries:
        try:
            found = find_stac_scenes(query)
        except SkymillError:
            message += 1
        else:
            message += len(found.rejects)
            assert len(found.sources) + len(found.rejects) == 1
    assert message


@pytest.mark.parametrize("error", RAISED[::4], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("method", ["read", "tags", "overviews"])
def test_what_one_file_raises_costs_no_other(monkeypatch, two_tiles, write_raster, method, error):
    write_raster(noise(seed=1), str(two_tiles / "bad.tif"))
    whole = getattr(rasterio.io.DatasetReader, method)

    def call(self: Any, *args: Any, **options: Any) -> Any:
        if self.name.endswith("bad.tif"):
            raise error
        return whole(self, *args, **options)

    monkeypatch.setattr(f"rasterio.io.DatasetReader.{method}", call)
    found = run(tree(two_tiles))
    assert sorted(found.tiles) == ["good@0,0,32x32", "good@0,32,32x32"]
    keys = {"bad"} if method != "read" else {"bad@0,0,32x32", "bad@0,32,32x32"}
    assert {reject.key for reject in found.rejects} == keys
    assert all("bad.tif" in reject.detail for reject in found.rejects)
    np.testing.assert_array_equal(found.tiles["good@0,0,32x32"].tile.pixels, noise()[:, :32])
