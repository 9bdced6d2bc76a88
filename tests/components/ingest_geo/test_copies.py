"""A tile is its place and a photograph its content; `splits` counts what a run keeps."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from components.ingest.config import IngestConfig
from components.ingest.sources import survey
from tests.components.ingest.conftest import Outcome
from tests.components.ingest_geo.conftest import by_key
from tests.components.ingest_geo.sources import photograph, raster

BLOCKS = {"by": "block", "block_m": 640, "buffer_m": None}


def write(path: Path, pixels: np.ndarray, east_px: int = 0, crs: str | None = "EPSG:32632") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    place = from_origin(500_000 + 10 * east_px, 5_300_000, 10, 10)
    shape = {"height": pixels.shape[0], "width": pixels.shape[1], "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=place, **shape) as dataset:
        dataset.write(pixels.astype(np.uint8), 1)
    return path


def noise(seed: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, (side, side)).astype(np.uint8)


def of_scenes(root: Path, **options: Any) -> dict[str, Any]:
    source = {"kind": "scenes", "uri": str(root), "tiling": {"size_px": 32}}
    image = {"height_px": 32, "width_px": 32, "bands": ["B1"]}
    return {"source": source | options.pop("source", {}), "image": image, **options}


def assert_agreed(outcome: Outcome, tree: dict[str, Any]) -> None:
    """The run has the examples, by split and by split and class, that the survey counted."""
    report = survey(IngestConfig.model_validate(tree)).report
    ran = outcome.summary
    assert {split: count for split, count in ran.images.items() if count} == report.counts
    by_class = {
        (name, split): count
        for split, counts in ran.examples.items()
        for name, count in counts.items()
        if count
    }
    assert by_class == {
        (name, split): count for name, row in report.classes.items() for split, count in row.items()
    }


def test_tiles_of_one_value_are_told_apart_by_their_place(run, tmp_path: Path) -> None:
    """Half of the scene is cloud, over ground of two classes."""
    pixels = noise(1, 256)
    pixels[:, :128] = 255
    write(tmp_path / "scenes" / "one.tif", pixels)
    classes = np.ones((256, 256))
    classes[:128] = 2
    classes[200:, 200:] = 0
    write(tmp_path / "classes.tif", classes)
    labels = {
        "kind": "class_raster",
        "path": str(tmp_path / "classes.tif"),
        "legend": {"values": {1: "land", 2: "water", 0: "nothing"}, "ignore": ["nothing"]},
    }
    tree = of_scenes(tmp_path / "scenes", source={"labels": labels}, split_by=BLOCKS)
    outcome = run(tree)
    assert outcome.rejects() == {}
    # 8 x 8 tiles, less the only one that lies wholly in the unlabelled corner.
    assert len(by_key(outcome)) == 64 - 1
    assert_agreed(outcome, tree)


def test_tiles_of_one_value_on_the_same_ground_at_two_times_are_no_copies(run, tmp_path) -> None:
    for day in ("20200101", "20210101", "20220101"):
        write(tmp_path / "scenes" / f"{day}.tif", np.full((64, 64), 255))
    dates = {"by": "date", "eval_from": "2021-01-01", "test_from": "2022-01-01"}
    source = {"date_pattern": r"(\d{8})"}
    tree = of_scenes(tmp_path / "scenes", source=source, split_by=dates)
    outcome = run(tree)
    assert outcome.rejects() == {}
    assert outcome.summary.images == {"train": 4, "eval": 4, "test": 4}
    assert_agreed(outcome, tree)


@pytest.mark.parametrize("crs", ["EPSG:32632", None])
def test_a_scene_s_copy_in_another_split_is_rejected_and_another_scene_is_not(
    run, tmp_path: Path, crs: str | None
) -> None:
    original = write(tmp_path / "scenes" / "a.tif", noise(1), crs=crs)
    for name in "bcdefgh":
        shutil.copyfile(original, original.with_name(f"{name}.tif"))
    elsewhere = write(tmp_path / "scenes" / "other.tif", noise(2), crs=crs)
    tree = of_scenes(
        tmp_path / "scenes",
        source={"without_map": True},
        split_by={"by": "scene"},
        max_reject_fraction=1,
    )
    outcome = run(tree)
    kept = {key: split for key, (split, _) in by_key(outcome).items()}
    assert sum(key.startswith(elsewhere.stem) for key in kept) == 4
    assert {split for key, split in kept.items() if not key.startswith("other")} == {
        kept["a@0,0,32x32"]
    }
    reasons = Counter(str(it.reason) for it in outcome.rejects().values())
    assert set(reasons) == {"duplicate_across_splits"}
    assert len(kept) + reasons.total() == 4 * 9


def test_the_same_tile_elsewhere_on_a_map_or_in_a_picture_is_no_copy(run, tmp_path: Path) -> None:
    pattern = np.tile(noise(1, 32), (2, 2))
    write(tmp_path / "scenes" / "placed.tif", pattern)
    write(tmp_path / "scenes" / "nowhere.tif", pattern, crs=None)
    tree = of_scenes(
        tmp_path / "scenes",
        source={"without_map": True},
        split_by={"by": "tile", "insist": True},
    )
    assert run(tree).rejects() == {}


def test_chips_of_one_value_at_other_places_are_no_copies_and_the_same_file_is(
    run, tmp_path: Path
) -> None:
    chips = tmp_path / "chips"
    for number in range(6):
        cloud = np.full((32, 32), 255)
        write(chips / ("land", "water")[number % 2] / f"{number}.tif", cloud, 100 * number)
    shutil.copyfile(chips / "land" / "0.tif", chips / "water" / "again.tif")
    tree = {
        "source": {"kind": "chips", "uri": str(chips)},
        "image": {"height_px": 32, "width_px": 32, "bands": ["B1"]},
        "split_by": BLOCKS,
        "max_reject_fraction": 1,
    }
    outcome = run(tree)
    assert {key: str(it.reason) for key, it in outcome.rejects().items()} == {
        "water/again.tif": "conflicting_label"
    }
    assert len(by_key(outcome)) == 6
    assert_agreed(outcome, tree)


def test_splits_leaves_out_the_copies_of_photographs_that_a_run_rejects(
    run, tmp_path: Path
) -> None:
    rows = ["uri,label,split"]
    for number in range(12):
        photograph(tmp_path / f"{number}.png", number % 8)
        rows.append(f"{number}.png,{'ab'[number % 2]},{('train', 'eval', 'test')[number % 3]}")
    rows += ["lost.png,a,train", "0.png,a,train"]
    shutil.copyfile(tmp_path / "0.png", tmp_path / "z.png")
    rows.append("z.png,b,train")  # the split of 0.png, and another class
    (tmp_path / "m.csv").write_text("\n".join(rows))
    tree = {
        "source": {
            "kind": "manifest",
            "uri": str(tmp_path / "m.csv"),
            "columns": {"split": "split"},
        },
        "max_reject_fraction": 1,
    }
    outcome = run(tree)
    assert Counter(str(it.reason) for it in outcome.rejects().values()) == {
        "duplicate_across_splits": 4,
        "conflicting_label": 1,
        "duplicate_key": 1,
        "missing_file": 1,
    }
    assert_agreed(outcome, tree)
    found = survey(IngestConfig.model_validate(tree))
    assert {it.key for it in found.rejects} == set(outcome.rejects())


def test_a_raster_like_no_other_stays_itself(run, tmp_path: Path) -> None:
    """The digest still identifies the content."""
    raster(tmp_path / "scenes" / "a.tif", 1)
    tree = of_scenes(tmp_path / "scenes", split_by={"by": "tile", "insist": True})
    contents = {
        features["image/sha256"].bytes_list.value[0] for _, features in by_key(run(tree)).values()
    }
    assert len(contents) == 4
