"""Pictures of the model's input: examples with their truth, rejects, and tiles over a scene."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from PIL import Image

from components.ingest.config import IngestConfig
from components.ingest.files.layout import in_writing_order
from components.ingest.files.read import ReadFailure, read_file, read_files
from components.ingest.photographs.judge import Judge, Refused
from components.ingest.photographs.truth import TruthReader
from components.ingest.rasters.chips.chips import ChipConverter
from components.ingest.rasters.config import ChipsSource, TiledSource
from components.ingest.rasters.scenes.convert import LabelledTile, SceneConverter
from components.ingest.rasters.scenes.labelling import Answer, names_of
from components.ingest.rasters.scenes.plan import plan_of, read_area
from components.ingest.rasters.views import open_view
from components.ingest.records.record import Listing, Record
from components.ingest.records.reject import Reject
from components.ingest.records.scene_part import ScenePart
from components.ingest.records.truth import TileTruth
from components.ingest.sources import list_source
from components.raster.errors import ConfigError, DataError
from components.raster.fitting import LEAST_BOX_SHARE, fit_boxes, fit_mask, fit_picture
from components.raster.image import ImageSpec
from components.raster.labels.targets import ignore_value
from components.raster.pictures.overview import scene_picture, with_tiles
from components.raster.pictures.sheet import (
    Card,
    contact_sheet,
    legend_of,
    mask_picture,
    with_boxes,
    with_mask,
)
from components.raster.pictures.stretch import (
    NODATA_RGB,
    Picture,
    choose_bands,
    picture_of,
    stretch_of,
)
from components.raster.tiles.valid_mask import Mask, Pixels

_NATURAL = ("red", "green", "blue")
_BLANK = np.full((64, 64, 3), 60, np.uint8)


@dataclass(frozen=True, eq=False)
class Seen:
    """One example before it is encoded; `valid` is None for photographs."""

    record: Record
    pixels: Pixels
    valid: Mask | None
    answer: Answer


def look(
    config: IngestConfig, *, count: int = 32, bands: Sequence[str] = (), side_px: int = 128
) -> Image.Image:
    """Draws a sheet of some examples, mixed as they will be written, and of some rejects.

    Args:
        config: of ingest.
        count: examples at most; there may be half as many rejects.
        bands: to show as red, green and blue, or one as grey; of rasters only. Default: red,
            green and blue where there are such, else the first three.
        side_px: of each picture.

    Raises:
        DataError: the source cannot be read, or its split would leak.
        ConfigError: there is no such band.
    """
    listing = list_source(config)
    found: list[Seen] = []
    rejects = list(listing.rejects)
    for outcome in _outcomes(config, listing, count):
        if isinstance(outcome, Seen):
            found.append(outcome)
        else:
            rejects.append(outcome)
        if len(found) == count:
            break
    cards = [
        *_cards(found, config, listing.classes, bands),
        *map(_reject_card, rejects[: count // 2]),
    ]
    if not cards:
        raise DataError(f"{config.source.uri}: there is nothing to look at")
    coloured = any(it.answer.truth.mask is not None or it.answer.truth.boxes for it in found)
    legend = legend_of(listing.classes) if coloured else ()
    return contact_sheet(cards, side_px=side_px, legend=legend)


def some_examples(config: IngestConfig, count: int) -> tuple[list[Seen], tuple[str, ...]]:
    """Returns the first examples as `look` mixes them, and the names of all classes; no rejects.

    Raises:
        DataError: the source cannot be read, its split would leak, or there is no example.
    """
    listing = list_source(config)
    outcomes = _outcomes(config, listing, count)
    found = list(islice((one for one in outcomes if isinstance(one, Seen)), count))
    if not found:
        raise DataError(f"{config.source.uri}: there is nothing to look at")
    return found, tuple(listing.classes)


def bands_to_show(config: IngestConfig, bands: Sequence[str]) -> tuple[int, ...]:
    """Returns indexes of a picture's bands, requested and chosen as in `look`.

    Raises:
        ConfigError: there is no such band.
    """
    return _shown(config, bands) if config.image.bands else (0, 1, 2)


def look_at_tiles(
    config: IngestConfig, scene_id: str | None = None, bands: Sequence[str] = ()
) -> Image.Image:
    """Draws a scene with its tiles, those in no split in red.

    Args:
        config: of ingest, with a source of scenes.
        scene_id: which scene; default: the first.
        bands: as in `look`.

    Raises:
        DataError: the source cannot be read, or its split would leak.
        ConfigError: there is no such scene or band, or the source has no scenes.
    """
    source = config.source
    if not isinstance(source, TiledSource):
        raise ConfigError(f"a source of kind {source.kind} has no scenes to cut into tiles")
    parts = sorted(list_source(config).parts, key=lambda part: part.source.scene_id)
    ids = list(dict.fromkeys(part.source.scene_id for part in parts))
    chosen = scene_id or ids[0]
    if chosen not in ids:
        raise ConfigError(f"no scene {chosen!r}; there are {', '.join(ids[:20])}")
    own = [part for part in parts if part.source.scene_id == chosen]
    view = open_view(own[0].source, source, config.image)
    plan = plan_of(view, source, read_area(source))
    kept = {key for part in own for key in part.split_by_key(plan)}
    picture = scene_picture(view, _shown(config, bands))
    shape = (view.grid.height_px, view.grid.width_px)
    tiles = list(plan.keys())
    left_out = [key for key in tiles if str(key) not in kept]
    return with_tiles(picture, shape, [key for key in tiles if str(key) in kept], left_out)


def _outcomes(config: IngestConfig, listing: Listing, count: int) -> Iterator[Seen | Reject]:
    source = config.source
    if isinstance(source, TiledSource):
        scenes = SceneConverter(config, source, listing.classes)
        each = -(-count // len(listing.parts)) if listing.parts else 0
        yield from _of_scenes(scenes, listing.parts, each)
        return
    records = in_writing_order(listing.records)
    if isinstance(source, ChipsSource):
        for record, read in ChipConverter(config, source, listing.classes).read(records):
            if isinstance(read, Reject):
                yield read
            else:
                yield Seen(record, read[1].pixels, read[1].valid, _answer(record, TileTruth()))
    else:
        yield from _of_photographs(config, records, listing.classes)


def _of_scenes(
    scenes: SceneConverter, parts: Sequence[ScenePart], each: int
) -> Iterator[Seen | Reject]:
    """Yields some tiles of every part, so that every scene is shown."""
    for part in parts:
        tiles = (item for item in scenes.read(part) if isinstance(item, LabelledTile | Reject))
        for item in islice(tiles, each):
            if isinstance(item, Reject):
                yield item
            else:
                yield Seen(item.record, item.tile.pixels, item.tile.valid, item.answer)


def _of_photographs(
    config: IngestConfig, records: Sequence[Record], classes: Sequence[str]
) -> Iterator[Seen | Reject]:
    judge = Judge(config.image, decode=True)
    truth_of = TruthReader(config.source, classes)
    contents = read_files([record.uri for record in records], config.image.max_bytes)
    for record, content in zip(records, contents, strict=True):
        if isinstance(content, ReadFailure):
            yield Reject(record.key, record.uri, content.reason, content.detail)
            continue
        image = judge(content)
        if isinstance(image, Refused):
            yield Reject(record.key, record.uri, image.reason, image.detail)
        elif image.pixels is not None:
            mask = _mask(record, config.image.max_bytes)
            truth = (
                mask
                if isinstance(mask, Reject)
                else truth_of(record, mask, image.height, image.width)
            )
            if isinstance(truth, Reject):
                yield truth
            else:
                yield Seen(record, image.pixels, None, _answer(record, truth))


def _mask(record: Record, max_bytes: int) -> bytes | Reject | None:
    if record.mask_uri is None:
        return None
    try:
        return read_file(record.mask_uri, max_bytes)
    except ReadFailure as failure:
        return Reject(record.key, record.uri, failure.reason, f"the mask: {failure.detail}")


def _answer(record: Record, truth: TileTruth) -> Answer:
    return Answer(record.label, record.labels, replace(truth, number=record.number))


def _cards(
    found: Sequence[Seen], config: IngestConfig, classes: Sequence[str], bands: Sequence[str]
) -> Iterator[Card]:
    tiles = [(seen.pixels, seen.valid) for seen in found if seen.valid is not None]
    shown = _shown(config, bands) if tiles else (0, 1, 2)
    stretch = stretch_of(tiles, shown)
    for seen in found:
        picture: Picture
        if seen.valid is None:
            picture = seen.pixels.astype(np.uint8)
        else:
            picture = picture_of(seen.pixels, seen.valid, shown, stretch)
        image = config.image
        yield Card(_with_truth(picture, seen.answer, classes, image), _text(seen, classes))
        if seen.valid is not None and not seen.valid.all():
            valid = fit_mask(seen.valid.astype(np.uint8), image, fill=0).astype(bool)
            yield Card(mask_picture(valid), f"valid {_share(valid)}")


def _share(valid: Mask) -> str:
    """Formats a percentage that is 100 only where every pixel is valid."""
    share = float(valid.mean())
    return f"{share:.0%}" if share in (0, 1) else f"{min(max(share, 0.001), 0.999):.1%}"


def _shown(config: IngestConfig, bands: Sequence[str]) -> tuple[int, ...]:
    names = config.image.bands or ()
    wanted: tuple[str | int, ...] = tuple(int(it) if it.isdigit() else it for it in bands)
    if not wanted and set(_NATURAL) <= set(names):
        wanted = _NATURAL
    if len(wanted) not in (0, 1, 3):
        raise ConfigError(f"a picture shows one band or three, not {len(wanted)}")
    try:
        return choose_bands(names, wanted)
    except ValueError as error:
        raise ConfigError(f"{error}: these are image.bands") from error


def _with_truth(
    picture: Picture, answer: Answer, classes: Sequence[str], image: ImageSpec
) -> Picture:
    """Draws the picture and its truth as fitted to the model's image; padding is magenta."""
    truth, fitted = answer.truth, fit_picture(picture, image, NODATA_RGB)
    if truth.mask is not None:
        ignore = ignore_value(len(classes))
        return with_mask(fitted, fit_mask(truth.mask, image, ignore), ignore)
    if truth.boxes is not None:
        edges, share = fit_boxes(truth.boxes.edges_px, picture.shape[:2], image)
        kept = share >= LEAST_BOX_SHARE
        return with_boxes(fitted, edges[kept], truth.boxes.classes[kept].tolist())
    return fitted


def _text(seen: Seen, classes: Sequence[str]) -> str:
    """Formats split and truth; text too long for a card is cut off at its end."""
    answer = seen.answer
    truth = ", ".join(names_of(answer, classes)) or seen.record.key
    if answer.truth.number is not None:
        truth = f"{answer.truth.number:g}"
    elif answer.truth.boxes is not None:
        count = len(answer.truth.boxes.classes)
        truth = f"{count} object{'' if count == 1 else 's'}"
    return " ".join(filter(None, (seen.record.split, truth)))


def _reject_card(reject: Reject) -> Card:
    return Card(_BLANK, f"{reject.reason} {reject.key}", alarm=True)
