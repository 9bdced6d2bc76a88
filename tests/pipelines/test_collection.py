"""The synthetic collection: deterministic, balanced, and with the documented faults."""

import csv
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.demo.collection import CLASSES, DATES, REGIONS, Collection, make_collection

SMALL = Collection(scenes=1, tiles=1)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    content = b"".join(f"{p.relative_to(folder)}".encode() + p.read_bytes() for p in files)
    return hashlib.sha256(content).hexdigest()


def test_the_same_collection_is_made_twice(tmp_path):
    for name in "ab":
        make_collection(str(tmp_path / name), SMALL)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_every_class_is_there_in_every_region_at_every_date(tmp_path):
    make_collection(str(tmp_path), Collection(scenes=1, tiles=2, broken=False))
    counts = Counter((r["label"], r["region"], r["date"]) for r in rows_of(tmp_path))
    assert len(counts) == len(CLASSES) * len(REGIONS) * len(DATES)
    assert set(counts.values()) == {2}


def test_images_are_64_pixels_of_rgb(tmp_path):
    make_collection(str(tmp_path), Collection(scenes=1, tiles=1, broken=False))
    for row in rows_of(tmp_path)[:6]:
        with Image.open(tmp_path / row["uri"]) as image:
            assert (image.size, image.mode, image.format) == ((64, 64), "RGB", "JPEG")


def test_the_broken_rows_are_four_files_and_a_label_nobody_knows(tmp_path):
    make_collection(str(tmp_path / "whole"), Collection(scenes=1, tiles=1, broken=False))
    make_collection(str(tmp_path / "broken"), SMALL)
    more = rows_of(tmp_path / "broken")[len(rows_of(tmp_path / "whole")) :]
    assert [Path(row["uri"]).stem for row in more] == [
        "half",
        "empty",
        "not_an_image",
        "lost",
        "typo",
    ]
    assert not (tmp_path / "broken" / more[3]["uri"]).exists()
    assert more[4]["label"] not in CLASSES


def test_the_degraded_copy_is_darker_noisier_and_wrongly_labelled(tmp_path):
    make_collection(str(tmp_path / "good"), Collection(scenes=1, tiles=1, broken=False))
    make_collection(
        str(tmp_path / "bad"), Collection(scenes=1, tiles=1, broken=False, degraded=True)
    )
    good, bad = rows_of(tmp_path / "good"), rows_of(tmp_path / "bad")
    assert np.mean([_brightness(tmp_path / "bad" / r["uri"]) for r in bad]) < 0.6 * np.mean(
        [_brightness(tmp_path / "good" / r["uri"]) for r in good]
    )
    wrong = np.mean([not Path(r["uri"]).stem.startswith(r["label"]) for r in bad])
    assert 0.1 < wrong < 0.45
    assert all(Path(r["uri"]).stem.startswith(r["label"]) for r in good)


def _brightness(path: Path) -> float:
    with Image.open(path) as image:
        return float(np.asarray(image).mean())
