"""Tiles as tf.Examples: payload, geography, statistics and truth."""

import hashlib
import math
from collections.abc import Iterator, Sequence

from components.ingest.files.encode import (
    box_entries,
    bytes_entry,
    features_message,
    float_entry,
    int_entry,
    mask_entries,
    record_entries,
)
from components.ingest.records.outcome import Converted
from components.ingest.records.record import Record
from components.ingest.records.reject import Reject
from components.raster import example
from components.raster.image import ImageSpec
from components.raster.payload import encode_payload
from components.raster.reasons import Reason
from components.raster.scaling import UNSCALED, Scaling
from components.raster.tiles.tile import BandStatistics, Tile, band_statistics
from components.raster.tiles.view import View
from components.raster.truth.value import Truth


class TileEncoder:
    """Encodes tiles of the bands that a model sees.

    Args:
        image: the limits of the served graph, and the names of the bands as requested, so that
            `red` keeps this name for every sensor.
        classes: class names in the order of their indices.
        are_files: each tile is a file, a chip, not cut out of a scene.
    """

    def __init__(self, image: ImageSpec, classes: Sequence[str], *, are_files: bool) -> None:
        self._image, self._are_files = image, are_files
        self._names = tuple(classes)
        self._indices = {name: index for index, name in enumerate(classes)}

    def __call__(
        self, record: Record, tile: Tile, view: View, truth: Truth, scene: str | None
    ) -> Converted | Reject:
        """Encodes the example of a tile, or its reject if the served graph would refuse it.

        Args:
            record: key, classes, slices and the tile's split.
            tile: pixels and location.
            view: of the tile.
            truth: beside the record's classes.
            scene: the id to write, if any.
        """
        bands = self._image.bands or tuple(band.name for band in view.bands)
        if tile.pixels.size > self._image.max_pixels:
            detail = f"{tile.pixels.size:,} samples, over image.max_pixels"
            return Reject(record.key, record.uri, Reason.TOO_MANY_PIXELS, detail)
        valid = None if tile.valid.all() else tile.valid
        payload = encode_payload(
            tile.pixels, bands, valid, self._image.values, self._scalings_to_state(view)
        )
        if len(payload) > self._image.max_bytes:
            detail = f"a payload of {len(payload):,} bytes, over image.max_bytes"
            return Reject(record.key, record.uri, Reason.TOO_MANY_BYTES, detail)
        found = band_statistics(tile.pixels, tile.valid)
        entries = [
            bytes_entry(example.ENCODED, payload),
            bytes_entry(example.SHA256, hashlib.sha256(payload).hexdigest().encode()),
            bytes_entry(example.KEY, _utf8(record.key)),
            *_pixel_entries(tile, bands, found),
            *_place_entries(tile),
            *_scene_entries(view, scene),
            *record_entries(record, self._indices),
            *self._truth_entries(truth),
        ]
        assert record.split is not None
        names = record.names or truth.names(self._names)
        identity = self._identity(payload, tile, found)
        lonlat = tile.lonlat if _has_place(tile) else None
        return Converted(record, record.split, identity, features_message(entries), names, lonlat)

    def _identity(self, payload: bytes, tile: Tile, found: BandStatistics) -> bytes:
        """Returns bytes that only copies of a tile share: its pixels and its location.

        Cloud, water or saturation that fills a tile looks the same at any time, so a tile of a
        single value that was cut out of a scene is identified by its key.
        """
        place: tuple[object, ...] = (tile.crs, *tile.transform[:6])
        if tile.crs is None:
            place = (tile.key.window.row, tile.key.window.col)
        if not self._are_files and found.minimum == found.maximum:
            place = (tile.key,)
        return hashlib.sha256("\0".join(map(str, place)).encode() + b"\0" + payload).digest()

    def _scalings_to_state(self, view: View) -> tuple[Scaling, ...] | None:
        """Returns the scalings to state for stored numbers, if known."""
        if self._image.values is not None or set(view.scalings) == {UNSCALED}:
            return None
        return view.scalings

    def _truth_entries(self, truth: Truth) -> Iterator[bytes]:
        if truth.number is not None:
            yield float_entry(example.NUMBER, truth.number)
        yield from mask_entries(truth.mask)
        yield from box_entries(truth.boxes, self._names)


def _pixel_entries(tile: Tile, bands: Sequence[str], found: BandStatistics) -> Iterator[bytes]:
    height, width, channels = tile.pixels.shape
    yield bytes_entry(example.FORMAT, example.TILE_FORMAT.encode())
    yield int_entry(example.HEIGHT, height)
    yield int_entry(example.WIDTH, width)
    yield int_entry(example.CHANNELS, channels)
    yield bytes_entry(example.BANDS, *(band.encode() for band in bands))
    yield float_entry(example.VALID_FRACTION, tile.valid_fraction)
    for band, mean, stddev in zip(bands, found.mean, found.stddev, strict=True):
        yield float_entry(example.mean_of_band(band), mean)
        yield float_entry(example.stddev_of_band(band), stddev)


def _place_entries(tile: Tile) -> Iterator[bytes]:
    transform = " ".join(repr(float(number)) for number in tile.transform[:6])
    yield bytes_entry(example.TRANSFORM, transform.encode())
    yield float_entry(example.BOUNDS, *tile.bounds)
    if tile.crs is not None:
        yield bytes_entry(example.CRS, tile.crs.encode())
    if _has_place(tile):
        yield float_entry(example.LONGITUDE, tile.lonlat[0])
        yield float_entry(example.LATITUDE, tile.lonlat[1])
    if (gsd_m := tile.grid.gsd_m) is not None:
        yield float_entry(example.GSD_M, gsd_m)


def _has_place(tile: Tile) -> bool:
    return all(map(math.isfinite, tile.lonlat))


def _scene_entries(view: View, scene: str | None) -> Iterator[bytes]:
    if scene is not None:
        yield bytes_entry(example.SCENE, _utf8(scene))
    if view.scene.acquired:
        yield bytes_entry(example.DATE, view.scene.acquired[:10].encode())
    if view.scene.sensor:
        yield bytes_entry(example.SENSOR, view.scene.sensor.encode())


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
