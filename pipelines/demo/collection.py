"""A small synthetic land-cover collection, for the demo and the tests.

Each class is a texture with its own scale and orientation, coloured by season and region, so that
colour alone does not separate the classes: meadow and cropland share their greens, bare soil and
settlement their greys, and a forest in winter is as brown as a field.
The seed determines everything; nothing is taken from real imagery.

    python -m pipelines.demo.collection FOLDER [--scenes 7] [--degraded]
"""

import argparse
import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

CLASSES = ("bare_soil", "cropland", "forest", "meadow", "settlement", "water")
REGIONS = ("coast", "highland", "plain")
DATES = ("2026-03-20", "2026-06-21", "2026-10-02")
COLUMNS = ("uri", "label", "group", "region", "date")

_SIZE_PX = 64

#: Mean colour (RGB, 0 to 1) of a class at each date: spring, summer, autumn.
_COLOURS = {
    "bare_soil": ((0.52, 0.44, 0.36), (0.58, 0.50, 0.40), (0.50, 0.42, 0.35)),
    "cropland": ((0.42, 0.42, 0.26), (0.36, 0.47, 0.24), (0.54, 0.46, 0.30)),
    "forest": ((0.27, 0.30, 0.20), (0.16, 0.30, 0.15), (0.36, 0.29, 0.17)),
    "meadow": ((0.36, 0.43, 0.26), (0.34, 0.47, 0.24), (0.44, 0.43, 0.28)),
    "settlement": ((0.47, 0.45, 0.43), (0.49, 0.47, 0.44), (0.46, 0.44, 0.42)),
    "water": ((0.20, 0.28, 0.32), (0.14, 0.27, 0.34), (0.20, 0.26, 0.28)),
}
#: Effect of a region on every colour: gain per band, and haze that pulls towards grey.
_REGION_LOOK = {
    "coast": ((0.96, 1.00, 1.10), 0.16),
    "highland": ((1.04, 0.98, 0.96), 0.04),
    "plain": ((1.00, 1.02, 0.94), 0.08),
}


@dataclass(frozen=True)
class Collection:
    """Parameters of a synthetic collection.

    Attributes:
        scenes: scenes for each region and date; a scene is the group that a split keeps whole.
        tiles: tiles of each class in a scene.
        broken: adds files that no decoder accepts, and a label of an unknown class.
        degraded: simulates a failed sensor: low light, strong noise, and a third of the labels
            wrong; the gates must block a model trained on it.
        seed: determines everything.
    """

    scenes: int = 7
    tiles: int = 4
    broken: bool = True
    degraded: bool = False
    seed: int = 20260101


def make_collection(folder: str, collection: Collection) -> str:
    """Writes the images and ``manifest.csv`` into a folder; returns the manifest's path.

    Equal parameters give equal images.
    """
    rows = []
    for uri, payload, row in _tiles(collection):
        _write(os.path.join(folder, uri), payload)
        rows.append(row)
    if collection.broken:
        rows += list(_broken(folder, rows))
    manifest = os.path.join(folder, "manifest.csv")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    _write(manifest, text.getvalue().encode())
    return manifest


def paint(label: str, region: str, date: str, rng: np.random.Generator) -> np.ndarray:
    """Paints a tile of a class, uint8 (H, W, 3); every other one also shows another class."""
    image = _ground(label, date, rng)
    if rng.random() < 0.5:
        other = _ground(str(rng.choice(CLASSES)), date, rng)
        edge = _grain(rng, 14.0) > rng.uniform(0.1, 1.2)
        image = np.where(edge[..., None], other, image)
    image += rng.normal(0, 0.012, image.shape)
    gain, haze = _REGION_LOOK[region]
    image = image * gain * rng.normal(1, 0.10)
    return _to_bytes(image * (1 - haze) + 0.55 * haze)


def _ground(label: str, date: str, rng: np.random.Generator) -> np.ndarray:
    colour = np.array(_COLOURS[label][DATES.index(date)]) + rng.normal(0, 0.025, 3)
    return colour * (1 + _TEXTURES[label](rng)[..., None])


def _tiles(collection: Collection) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    rng = np.random.default_rng(collection.seed)
    for region in REGIONS:
        for date in DATES:
            for scene in range(collection.scenes):
                group = f"{region}-{date}-{scene:02d}"
                for label in CLASSES:
                    for tile in range(collection.tiles):
                        image = paint(label, region, date, rng)
                        shown = label
                        if collection.degraded:
                            image = _degrade(image, rng)
                            shown = str(rng.choice(CLASSES)) if rng.random() < 0.33 else label
                        uri = f"{group}/{label}-{tile}.jpg"
                        row = dict(zip(COLUMNS, (uri, shown, group, region, date), strict=True))
                        yield uri, _jpeg(image), row


def _broken(folder: str, rows: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Yields typical faults: a truncated, an empty, a text and a missing file, and a typo."""
    first = rows[0]
    with open(os.path.join(folder, first["uri"]), "rb") as whole:
        half = whole.read()[:400]
    for name, payload in {
        "half.jpg": half,
        "empty.jpg": b"",
        "not_an_image.jpg": b"<html>404 Not Found</html>",
        "lost.jpg": None,
    }.items():
        uri = f"{first['group']}/{name}"
        if payload is not None:
            _write(os.path.join(folder, uri), payload)
        yield {**first, "uri": uri}
    typo = f"{first['group']}/typo.jpg"
    rng = np.random.default_rng(0)
    _write(os.path.join(folder, typo), _jpeg(paint("water", first["region"], first["date"], rng)))
    yield {**first, "uri": typo, "label": "watr"}


def _water(rng: np.random.Generator) -> np.ndarray:
    return 0.05 * _grain(rng, 6.0) + 0.03 * _stripes(rng, 5.0)


def _meadow(rng: np.random.Generator) -> np.ndarray:
    return 0.10 * _grain(rng, 3.5) + 0.05 * _grain(rng, 0.7)


def _forest(rng: np.random.Generator) -> np.ndarray:
    return 0.22 * _grain(rng, 1.3) + 0.08 * _grain(rng, 8.0)


def _cropland(rng: np.random.Generator) -> np.ndarray:
    parcels = 0.12 * np.sign(_stripes(rng, rng.uniform(18, 40)))
    return parcels + 0.07 * _stripes(rng, rng.uniform(3, 6)) + 0.06 * _grain(rng, 1.0)


def _bare_soil(rng: np.random.Generator) -> np.ndarray:
    return 0.12 * _grain(rng, 5.0) + 0.07 * _grain(rng, 1.0)


def _settlement(rng: np.random.Generator) -> np.ndarray:
    ground = 0.08 * _grain(rng, 2.0)
    for _ in range(int(rng.integers(9, 26))):
        row, col = rng.integers(0, _SIZE_PX - 4, 2)
        height, width = rng.integers(4, 13, 2)
        ground[row : row + height, col : col + width] = rng.choice((-0.3, 0.25, 0.5))
    return ground


_TEXTURES = {
    "bare_soil": _bare_soil,
    "cropland": _cropland,
    "forest": _forest,
    "meadow": _meadow,
    "settlement": _settlement,
    "water": _water,
}


def _grain(rng: np.random.Generator, scale_px: float) -> np.ndarray:
    """Returns noise of unit deviation with patches of about ``scale_px`` pixels: float (H, W)."""
    frequency = np.hypot(np.fft.fftfreq(_SIZE_PX)[:, None], np.fft.rfftfreq(_SIZE_PX)[None])
    spectrum = np.fft.rfft2(rng.normal(size=(_SIZE_PX, _SIZE_PX)))
    field = np.fft.irfft2(spectrum * np.exp(-((2 * frequency * scale_px) ** 2)), s=(_SIZE_PX,) * 2)
    return field / max(float(field.std()), 1e-6)


def _stripes(rng: np.random.Generator, period_px: float) -> np.ndarray:
    """Returns a sine wave of random direction: float (H, W) in -1 to 1."""
    row, col = np.mgrid[:_SIZE_PX, :_SIZE_PX]
    angle = rng.uniform(0, np.pi)
    across = row * np.cos(angle) + col * np.sin(angle)
    return np.sin(2 * np.pi * across / period_px + rng.uniform(0, 2 * np.pi))


def _degrade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _to_bytes(image / 255 * 0.45 + rng.normal(0, 0.12, image.shape))


def _to_bytes(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def _jpeg(image: np.ndarray) -> bytes:
    payload = io.BytesIO()
    Image.fromarray(image).save(payload, "JPEG", quality=92)
    return payload.getvalue()


def _write(path: str, payload: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(payload)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Generates a small land-cover collection.")
    parser.add_argument("folder")
    parser.add_argument(
        "--scenes",
        type=int,
        default=Collection.scenes,
        help="number of scenes for each region and date",
    )
    parser.add_argument("--degraded", action="store_true", help="as seen by a failing sensor")
    options = parser.parse_args()
    print(make_collection(options.folder, Collection(options.scenes, degraded=options.degraded)))
