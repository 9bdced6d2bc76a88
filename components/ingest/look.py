"""Pictures of the model's input: examples with their truth, rejects, and tiles over a scene."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from PIL import Image

from components.ingest.config import IngestConfig
from components.ingest.records.family import Tiled
from components.ingest.records.outcome import DecodedExample
from components.ingest.records.record import Listing, Records
from components.ingest.records.reject import Reject
from components.ingest.sources import family_of, list_source
from components.raster.errors import ConfigError, DataError
from components.raster.fitting import LEAST_BOX_SHARE, fit_boxes, fit_mask, fit_picture
from components.raster.image import ImageSpec
from components.raster.labels.targets import ignore_value
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
    natural_bands,
    picture_of,
    stretch_of,
)
from components.raster.text import readable
from components.raster.tiles.valid_mask import Mask
from components.raster.truth.value import Truth

_BLANK = np.full((64, 64, 3), 60, np.uint8)


def look(
    config: IngestConfig, *, count: int = 32, bands: Sequence[str] = (), side_px: int = 128
) -> Image.Image:
    """Draws a sheet of some examples, mixed as they will be written, and of some rejects.

    Args:
        config: of ingest.
        count: examples at most; there may be half as many rejects.
        bands: to show as red, green and blue, or one as grey; only for rasters. Default: red,
            green and blue if there are such bands, else the first three.
        side_px: of each picture.

    Raises:
        DataError: the source cannot be read, or its split would leak.
        ConfigError: there is no such band.
    """
    listing = list_source(config)
    found: list[DecodedExample] = []
    rejects = list(listing.rejects)
    for outcome in _outcomes(config, listing, count):
        if isinstance(outcome, DecodedExample):
            found.append(outcome)
        else:
            rejects.append(outcome)
        if len(found) == count:
            break
    if not found and not rejects:
        raise DataError(f"{config.source.uri}: there is nothing to look at")
    return _sheet(found, config, listing.classes, bands, side_px, {}, rejects[: count // 2])


def look_at_keys(
    config: IngestConfig,
    texts: Mapping[str, str],
    *,
    bands: Sequence[str] = (),
    side_px: int = 128,
) -> Image.Image:
    """Draws a sheet of chosen examples with their truth, in the order of `texts`.

    Args:
        config: of ingest.
        texts: caption of each example, by its key.
        bands, side_px: as in `look`.

    Raises:
        DataError: the source cannot be read, or has none of these examples.
        ConfigError: there is no such band.
    """
    listing = list_source(config)
    wanted = replace(
        listing, records=Records(it for it in listing.records if readable(it.key) in texts)
    )
    found: dict[str, DecodedExample] = {}
    for outcome in _outcomes(config, wanted, wanted.images):
        if isinstance(outcome, DecodedExample) and (key := readable(outcome.record.key)) in texts:
            found[key] = outcome
        if len(found) == len(texts):
            break
    samples = [found[key] for key in texts if key in found]
    if not samples:
        named = ", ".join(list(texts)[:3])
        raise DataError(f"{config.source.uri}: it has no example {named}")
    return _sheet(samples, config, listing.classes, bands, side_px, texts)


def some_examples(config: IngestConfig, count: int) -> tuple[list[DecodedExample], tuple[str, ...]]:
    """Returns the first examples as `look` mixes them, and the names of all classes; no rejects.

    Raises:
        DataError: the source cannot be read, its split would leak, or there is no example.
    """
    listing = list_source(config)
    outcomes = _outcomes(config, listing, count)
    found = list(islice((one for one in outcomes if isinstance(one, DecodedExample)), count))
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
        scene_id: of the scene; default: the first.
        bands: as in `look`.

    Raises:
        DataError: the source cannot be read, or its split would leak.
        ConfigError: there is no such scene or band, or the source has no scenes.
    """
    from components.raster.pictures.overview import scene_picture, with_tiles  # they bring GDAL

    family = family_of(config.source)
    if not isinstance(family, Tiled):
        raise ConfigError(f"a source of kind {config.source.kind} has no scenes to cut into tiles")
    view, kept, left_out = family.tiles_of(config, scene_id)
    picture = scene_picture(view, _shown(config, bands))
    return with_tiles(picture, (view.grid.height_px, view.grid.width_px), kept, left_out)


def _outcomes(
    config: IngestConfig, listing: Listing, count: int
) -> Iterator[DecodedExample | Reject]:
    return family_of(config.source).samples(config, listing, count)


def _sheet(
    found: Sequence[DecodedExample],
    config: IngestConfig,
    classes: Sequence[str],
    bands: Sequence[str],
    side_px: int,
    texts: Mapping[str, str],
    rejects: Sequence[Reject] = (),
) -> Image.Image:
    cards = [*_cards(found, config, classes, bands, texts), *map(_reject_card, rejects)]
    coloured = any(it.truth.mask is not None or it.truth.boxes for it in found)
    legend = legend_of(classes) if coloured else ()
    return contact_sheet(cards, side_px=side_px, legend=legend)


def _cards(
    found: Sequence[DecodedExample],
    config: IngestConfig,
    classes: Sequence[str],
    bands: Sequence[str],
    texts: Mapping[str, str],
) -> Iterator[Card]:
    tiles = [(sample.pixels, sample.valid) for sample in found if sample.valid is not None]
    shown = _shown(config, bands) if tiles else (0, 1, 2)
    stretch = stretch_of(tiles, shown)
    for sample in found:
        picture: Picture
        if sample.valid is None:
            picture = sample.pixels.astype(np.uint8)
        else:
            picture = picture_of(sample.pixels, sample.valid, shown, stretch)
        image = config.image
        text = texts.get(readable(sample.record.key)) or _text(sample, classes)
        yield Card(_with_truth(picture, sample.truth, classes, image), text)
        if sample.valid is not None and not sample.valid.all():
            valid = fit_mask(sample.valid.astype(np.uint8), image, fill=0).astype(bool)
            yield Card(mask_picture(valid), f"valid {_share(valid)}")


def _share(valid: Mask) -> str:
    """Formats a percentage that is 100 only if every pixel is valid."""
    share = float(valid.mean())
    return f"{share:.0%}" if share in (0, 1) else f"{min(max(share, 0.001), 0.999):.1%}"


def _shown(config: IngestConfig, bands: Sequence[str]) -> tuple[int, ...]:
    names = config.image.bands or ()
    wanted: tuple[str | int, ...] = tuple(int(it) if it.isdigit() else it for it in bands)
    wanted = wanted or natural_bands(names)
    if len(wanted) not in (0, 1, 3):
        raise ConfigError(f"a picture shows one band or three, not {len(wanted)}")
    try:
        return choose_bands(names, wanted)
    except ValueError as error:
        raise ConfigError(f"{error}: these are image.bands") from error


def _with_truth(
    picture: Picture, truth: Truth, classes: Sequence[str], image: ImageSpec
) -> Picture:
    """Draws the picture and its truth, fitted to the model's image; padding is magenta."""
    fitted = fit_picture(picture, image, NODATA_RGB)
    if truth.mask is not None:
        ignore = ignore_value(len(classes))
        return with_mask(fitted, fit_mask(truth.mask, image, ignore), ignore)
    if truth.boxes is not None:
        edges, share = fit_boxes(truth.boxes.edges_px, picture.shape[:2], image)
        kept = share >= LEAST_BOX_SHARE
        return with_boxes(fitted, edges[kept], truth.boxes.classes[kept].tolist())
    return fitted


def _text(sample: DecodedExample, classes: Sequence[str]) -> str:
    """Formats split and truth; the end of long text is cut off."""
    truth = sample.truth
    text = ", ".join(truth.names(classes)) or sample.record.key
    if truth.number is not None:
        text = f"{truth.number:g}"
    elif truth.boxes is not None:
        count = len(truth.boxes.classes)
        text = f"{count} object{'' if count == 1 else 's'}"
    return " ".join(filter(None, (sample.record.split or sample.record.drawn, text)))


def _reject_card(reject: Reject) -> Card:
    return Card(_BLANK, f"{reject.reason} {reject.key}", alarm=True)
