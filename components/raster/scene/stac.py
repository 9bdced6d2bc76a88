"""Scenes from STAC: a file of items, a static catalogue or an API; metadata only.

Assets are chosen by key, or by the common name of a band (`red`, `nir08`); see
https://github.com/stac-extensions/eo for the names. Filters are applied here as well as by a
server, since not every server supports all of them. A broken item becomes a reject.
"""

import datetime
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pystac
import shapely
from pystac_client import Client
from pystac_client.stac_api_io import StacApiIO

from components.raster.documents import parse_json
from components.raster.errors import DataError
from components.raster.library_errors import translated
from components.raster.location import is_remote, local_path
from components.raster.reasons import Reason
from components.raster.scaling import Scaling
from components.raster.scene.date_line import box_of, shares_ground
from components.raster.scene.gdal import REMOTE_SCHEMES
from components.raster.scene.rejects import SceneRejected
from components.raster.scene.scene import BandFile, FoundScenes, SceneSource
from components.raster.scene.stac_query import Bounds, StacQuery
from components.raster.scene.stac_scaling import asset_scalings

_TIMEOUT_S = 60.0
#: Roles of assets that are renderings of a scene and not its data.
_PICTURES = {"thumbnail", "overview", "visual", "preview"}
#: Name under which items beyond `max_items` are counted.
BEYOND_MOST_ITEMS = "(beyond_max_items)"
_RASTER_TYPES = ("image/tiff", "image/jp2", "application/x-geotiff", "image/vnd.stac.geotiff")


def find_stac_scenes(query: StacQuery) -> FoundScenes:
    """Queries a STAC source for scenes; a server's newest items come first.

    Items beyond `max_items` are counted together as one, under `BEYOND_MOST_ITEMS`: counting each
    could take as long as listing them.

    Raises:
        DataError: the source cannot be read or is not STAC.
    """

    def error(why: str) -> DataError:
        return DataError(f"STAC source {query.source} cannot be used: {why}.")

    sources: list[SceneSource] = []
    rejects: list[SceneRejected] = []
    with translated(error, document=True):
        for found in _offers(query):
            is_full = len(sources) + len(rejects) == query.max_items
            try:
                if isinstance(found, SceneRejected):
                    raise found
                item = found.item()
                if not _matches(item, query):
                    continue
                if not is_full:
                    sources.append(scene_source(item, query))
            except SceneRejected as rejected:
                if not is_full:
                    rejects.append(rejected)
            if is_full:
                return FoundScenes(tuple(sources), tuple(rejects), {BEYOND_MOST_ITEMS: 1})
    return FoundScenes(tuple(sources), tuple(rejects))


@dataclass(frozen=True, eq=False)
class _Offer:
    """An item that a source offers, not validated yet.

    Attributes:
        name: for messages while its id is unknown.
        load: makes the item; may raise any exception that a broken document causes.
    """

    name: str
    load: Callable[[], pystac.Item]

    def item(self) -> pystac.Item:
        """Loads the item. Raises SceneRejected if it is invalid."""
        with _refusing(self.name), warnings.catch_warnings():
            warnings.simplefilter("ignore", pystac.errors.DeprecatedWarning)
            found = self.load()
            if not isinstance(found, pystac.Item):
                raise ValueError(f"it is a {type(found).__name__.lower()}, not an item")
            if not found.id:
                raise ValueError("it has no id")
            return found


def _refusing(scene_id: str) -> AbstractContextManager[None]:
    """Turns errors caused by a broken item into its SceneRejected."""

    def reject(why: str) -> SceneRejected:
        detail = f"its entry in the catalogue cannot be used: {why}."
        return SceneRejected(scene_id, Reason.BAD_METADATA, detail)

    return translated(reject, document=True)


def _offers(query: StacQuery) -> Iterator[_Offer | SceneRejected]:
    """Yields every item that a source offers, and rejects for its unreadable catalogues.

    A server already applies the query's filters.
    """
    reader = StacApiIO(timeout=_TIMEOUT_S, max_retries=3)
    content = parse_json(reader.read_text(query.source))
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")
    kind = content.get("type")
    if kind == "FeatureCollection":
        yield from _features(content["features"], query.source)
    elif kind == "Feature":
        yield from _features([content], query.source)
    elif _is_api(content):
        yield from _search(query)
    else:
        found = pystac.Catalog if kind == "Catalog" else pystac.Collection
        yield from _walk(found.from_file(query.source, stac_io=reader))


def _features(features: Iterable[Any], source: str | None) -> Iterator[_Offer]:
    """Yields items of a list; those without an address get the source's."""

    def load(feature: Any) -> pystac.Item:
        if not isinstance(feature, dict):
            raise ValueError("it is not a JSON object")
        item = pystac.Item.from_dict(feature, preserve_dict=False)
        if source is not None and not item.get_self_href():
            item.set_self_href(source)
        return item

    for number, feature in enumerate(features):
        yield _Offer(_name_of(feature) or f"feature {number}", partial(load, feature))


def _name_of(feature: Any) -> str | None:
    """Returns the scene id of an item's JSON; None if it has none."""
    if not isinstance(feature, dict) or not feature.get("id"):
        return None
    return "/".join(str(part) for part in (feature.get("collection"), feature["id"]) if part)


def _walk(top: pystac.Catalog) -> Iterator[_Offer | SceneRejected]:
    """Yields the items of a static catalogue and of those below it; each catalogue is read once."""
    waiting, seen = deque([top]), {top.get_self_href()}
    while waiting:
        catalogue = waiting.popleft()
        for link in catalogue.get_item_links():
            yield _Offer(str(link.get_absolute_href()), partial(_resolved, link, top))
        for link in catalogue.get_child_links():
            href = link.get_absolute_href()
            if href in seen:
                continue
            seen.add(href)
            try:
                with _refusing(str(href)):
                    child = _resolved(link, top)
                    if not isinstance(child, pystac.Catalog):
                        raise ValueError("a link to it says that it is a catalogue")
                waiting.append(child)
            except SceneRejected as rejected:
                yield rejected


def _resolved(link: pystac.Link, root: pystac.Catalog) -> Any:
    return link.resolve_stac_object(root=root).target


def _is_api(content: Mapping[str, Any]) -> bool:
    return any(link.get("rel") == "search" for link in content.get("links", ()))


def _search(query: StacQuery) -> Iterator[_Offer]:
    client = Client.open(query.source, timeout=_TIMEOUT_S)
    period = None
    if query.start or query.end:
        period = f"{query.start or '..'}/{query.end or '..'}"
    search = client.search(
        collections=list(query.collections) or None, bbox=query.bbox, datetime=period, limit=100
    )
    yield from _features(search.items_as_dicts(), None)


def _matches(item: pystac.Item, query: StacQuery) -> bool:
    """Checks whether an item matches the query. Raises SceneRejected if its values cannot be
    compared.
    """
    with _refusing(_scene_id(item)):
        if query.collections and item.collection_id not in query.collections:
            return False
        if query.bbox is not None and not _meets(item, query.bbox):
            return False
        cover = item.properties.get("eo:cloud_cover")
        limit = query.max_cloud_cover_percent
        if limit is not None and (cover is None or float(cover) > limit):
            return False
        return _in_period(item, query)


def _meets(item: pystac.Item, bbox: Bounds) -> bool:
    if item.geometry is None:
        return False
    return shares_ground(shapely.geometry.shape(item.geometry), box_of(bbox))


def _in_period(item: pystac.Item, query: StacQuery) -> bool:
    first, last = _moments(item)
    if first is None or last is None:
        return query.start is None and query.end is None
    started = query.start is None or last.date() >= query.start
    return started and (query.end is None or first.date() <= query.end)


def _moments(item: pystac.Item) -> tuple[datetime.datetime | None, datetime.datetime | None]:
    """Returns the first and last moment of an item's acquisition."""
    if item.datetime is not None:
        return item.datetime, item.datetime
    return item.common_metadata.start_datetime, item.common_metadata.end_datetime


def scene_source(item: pystac.Item, query: StacQuery) -> SceneSource:
    """Builds the scene of one item.

    Raises:
        SceneRejected: an asset is missing, a band could be in several, or a link leads to a
            forbidden place.
    """
    with _refusing(_scene_id(item)):
        return _scene_source(_scene_id(item), item, query)


def _scene_id(item: pystac.Item) -> str:
    return f"{item.collection_id}/{item.id}" if item.collection_id else str(item.id)


def _scene_source(scene_id: str, item: pystac.Item, query: StacQuery) -> SceneSource:
    files = [
        replace(
            _band_file(scene_id, key, item.assets[key], query.source),
            scalings=_scalings(scene_id, key, item),
        )
        for key in _chosen(scene_id, item, query)
    ]
    first, _ = _moments(item)
    sensor = "_".join([item.properties.get("platform") or "", *_instruments(item)]).strip("_")
    return SceneSource(
        scene_id=scene_id,
        files=tuple(files),
        acquired=None if first is None else first.isoformat(),
        sensor=sensor or None,
        cloud_cover_percent=item.properties.get("eo:cloud_cover"),
    )


def _scalings(scene_id: str, key: str, item: pystac.Item) -> tuple[Scaling, ...]:
    try:
        return asset_scalings(key, item.assets[key].extra_fields, item.properties)
    except (ValueError, TypeError, AttributeError) as error:  # fields may have any type
        detail = f"asset {key}: its scale or offset cannot be used: {error}"
        raise SceneRejected(scene_id, Reason.BAD_METADATA, detail) from error


def _instruments(item: pystac.Item) -> list[str]:
    return [str(name) for name in item.properties.get("instruments") or ()]


def _chosen(scene_id: str, item: pystac.Item, query: StacQuery) -> list[str]:
    """Returns keys of the assets to read."""
    have = f"It has {', '.join(item.assets)}."
    if query.assets:
        missing = [key for key in query.assets if key not in item.assets]
        if missing:
            raise SceneRejected(scene_id, Reason.NO_ASSET, f"no asset {', '.join(missing)}. {have}")
        return list(query.assets)
    rasters = {key: asset for key, asset in item.assets.items() if _is_data(asset)}
    if not query.bands:
        if not rasters:
            raise SceneRejected(scene_id, Reason.NO_ASSET, f"no raster of data. {have}")
        return list(rasters)
    keys = [_holder(scene_id, band, rasters) for band in query.bands]
    return list(dict.fromkeys(keys))


def _is_data(asset: pystac.Asset) -> bool:
    if set(asset.roles or ()) & _PICTURES:
        return False
    kind = (asset.media_type or "").split(";")[0].strip().lower()
    return kind in _RASTER_TYPES or (not kind and asset.href.lower().endswith((".tif", ".tiff")))


def _holder(scene_id: str, band: str, assets: Mapping[str, pystac.Asset]) -> str:
    """Returns the asset with a common name; of several, the GeoTIFF with the fewest bands."""
    names = {key: _bands(key, asset)[1] for key, asset in assets.items()}
    holders = [key for key in assets if band in names[key]]
    if not holders:
        known = ", ".join(sorted({name for found in names.values() for name in found if name}))
        raise SceneRejected(
            scene_id, Reason.NO_ASSET, f"no asset holds a band {band!r}; there are {known}."
        )

    def rank(key: str) -> tuple[bool, int]:
        return "jp2" in (assets[key].media_type or ""), len(names[key])

    best = min(rank(key) for key in holders)
    equal = [key for key in holders if rank(key) == best]
    if len(equal) > 1:
        raise SceneRejected(
            scene_id,
            Reason.AMBIGUOUS_BAND,
            f"{band!r} is in the assets {', '.join(equal)}. Choose assets by key.",
        )
    return equal[0]


def _bands(key: str, asset: pystac.Asset) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns (names, common names) of an asset's bands; a single band has the asset's key."""
    fields = asset.extra_fields
    listed = fields.get("bands") or fields.get("eo:bands") or ()
    names = tuple(
        str(band.get("name") or f"{key}_{place}") for place, band in enumerate(listed, start=1)
    )
    common = tuple(
        str(band.get("eo:common_name") or band.get("common_name") or "") for band in listed
    )
    return ((key,) if len(listed) <= 1 else names), common


def _band_file(scene_id: str, key: str, asset: pystac.Asset, source: str) -> BandFile:
    href = asset.get_absolute_href()
    local = not is_remote(source)
    scheme = href.partition("://")[0] if href and "://" in href else ""
    if href and scheme.lower() == "file" and local:
        href, scheme = local_path(href), ""
    # A foreign catalogue must not make this machine open its own files.
    if not href or (scheme not in REMOTE_SCHEMES and (scheme or not local)):
        raise SceneRejected(
            scene_id,
            Reason.BAD_METADATA,
            f"asset {key} leads to {href!r}; {', '.join(REMOTE_SCHEMES)} links are followed, and "
            "paths only from catalogues on this machine.",
        )
    if href.startswith("/vsi"):
        raise SceneRejected(scene_id, Reason.BAD_METADATA, f"asset {key} leads to {href!r}.")
    names, common = _bands(key, asset)
    return BandFile(href, names, common)
