"""Pairs of images and masks in the listing of every source with masks, and the fingerprint."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rasterio.transform import from_origin

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.sources import list_source
from components.raster.errors import DataError
from tests.components.ingest_geo.conftest import by_key, mask_of

LEGEND = {"values": {1: "field", 2: "water"}}


@pytest.fixture
def write(write_raster, tmp_path: Path):
    """Writes masks of one value, or scenes and photographs where no value is given."""

    def of(*names: str, value: int | None = None) -> None:
        for number, name in enumerate(names):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            draw = np.random.default_rng(number)
            pixels = draw.integers(1, 255, (16, 16)) if value is None else np.full((16, 16), value)
            if path.suffix == ".tif":
                # Scenes of one folder share a place, and the folders lie apart.
                east = 500_000 + 10_000 * (sum(path.parent.name.encode()) % 50)
                place = from_origin(east, 5_000_000, 10, 10)
                write_raster(pixels.astype(np.uint8)[..., None], str(path), transform=place)
            else:
                Image.fromarray(pixels.astype(np.uint8)).save(path)

    return of


def scenes(folder: Path, **source: Any) -> IngestConfig:
    labels = {"kind": "masks", "folder": str(folder / "masks"), "legend": LEGEND}
    tree = {"kind": "scenes", "uri": str(folder / "images"), "labels": labels, **source}
    tree |= {"tiling": {"size_px": 16}, "target": {"to": "mask"}}
    bands = source.get("bands", ["B1"])
    tree.pop("bands", None)
    image = {"height_px": 16, "width_px": 16, "bands": bands}
    split = {"by": "tile", "insist": True}
    return IngestConfig.model_validate({"source": tree, "image": image, "split_by": split})


def photographs(folder: Path) -> IngestConfig:
    tree = {"kind": "masked", "uri": str(folder / "images"), "masks": str(folder / "masks")}
    return IngestConfig.model_validate({"source": {**tree, "legend": LEGEND}})


def masks_in(listing: Any, folder: Path) -> dict[str, str]:
    """The mask of each image or scene, below the folder of masks."""
    found = {record.key: record.mask_uri for record in listing.records}
    found |= {part.source.scene_id: part.truth for part in listing.parts}
    return {
        key.partition(".")[0]: str(Path(path).relative_to(folder / "masks"))
        for key, path in found.items()
    }


def reasons(listing: Any) -> dict[str, str]:
    return {reject.key.partition(".")[0]: str(reject.reason) for reject in listing.rejects}


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("kind", [scenes, photographs])
def test_each_image_has_the_mask_of_its_own_path(write, tmp_path, kind, suffix):
    write("images/2024/o.tif", "images/2025/o.tif", "images/2025/p.tif")
    write(f"masks/2024/o.{suffix}", "masks/p.png", value=1)
    write(f"masks/2025/o.{suffix}", value=2)
    listing = list_source(kind(tmp_path))
    assert masks_in(listing, tmp_path) == {
        "2024/o": f"2024/o.{suffix}",
        "2025/o": f"2025/o.{suffix}",
        "2025/p": "p.png",
    }
    assert not listing.rejects
    assert not listing.ignored


@pytest.mark.parametrize("kind", [scenes, photographs])
def test_an_ambiguous_mask_is_nobodys_and_both_are_named(write, tmp_path, kind):
    write("images/1/o.tif", "images/2/o.tif", "images/twice.tif", "images/fine.tif")
    write("masks/o.png", "masks/twice.png", "masks/twice.tif", "masks/fine.png", value=1)
    write("masks/nobody.png", value=1)
    listing = list_source(kind(tmp_path))
    assert masks_in(listing, tmp_path) == {"fine": "fine.png"}
    assert reasons(listing) == dict.fromkeys(["1/o", "2/o", "twice"], "ambiguous_truth")
    result = {reject.key.partition(".")[0]: reject.detail for reject in listing.rejects}
    assert "o.png could belong to 1/o" in result["1/o"]
    assert "2/o" in result["1/o"]
    assert "twice.png and twice.tif" in result["twice"]
    assert listing.ignored == {"(unused_mask)": 4}


def test_photographs_that_differ_by_their_suffix_share_no_mask(write, tmp_path):
    write("images/a.jpg", "images/a.png", "images/b.png")
    write("masks/a.png", "masks/b.png", value=1)
    listing = list_source(photographs(tmp_path))
    assert masks_in(listing, tmp_path) == {"b": "b.png"}
    assert [(it.key, str(it.reason)) for it in listing.rejects] == [
        ("a.jpg", "ambiguous_truth"),
        ("a.png", "ambiguous_truth"),
    ]


@pytest.mark.parametrize("names", [("a.png", "b.png"), ("a/B02.png", "b/B02.png")])
def test_a_scene_of_a_file_a_band_has_the_mask_that_is_called_as_it(run, write, tmp_path, names):
    write("images/a/B02.tif", "images/a/B03.tif", "images/b/B02.tif", "images/b/B03.tif")
    write(f"masks/{names[0]}", value=1)
    write(f"masks/{names[1]}", value=2)
    config = scenes(tmp_path, layout="folder", bands=["B03", "B02"])
    found = by_key(run(config.model_dump()))
    classes = {key: np.unique(mask_of(features)).tolist() for key, (_, features) in found.items()}
    assert classes == {"a@0,0,16x16": [0], "b@0,0,16x16": [1]}


def test_a_band_that_several_scenes_have_names_no_mask(write, tmp_path):
    write("images/a/B02.tif", "images/b/B02.tif")
    write("masks/B02.png", value=1)
    with pytest.raises(
        DataError, match="no scene .* can be used: 2 rejects .*B02.png could belong"
    ):
        list_source(scenes(tmp_path, layout="folder", bands=["B02"]))


def test_a_landsat_scene_has_the_mask_of_its_product_or_of_its_folder(write, tmp_path):
    for name in ("one", "two"):
        write(f"images/{name}/{name}_B4.tif", f"images/{name}/{name}_B5.tif")
        text = f'LANDSAT_PRODUCT_ID = "LC08_{name}"\nSPACECRAFT_ID = "LANDSAT_8"\n'
        (tmp_path / f"images/{name}/{name}_MTL.txt").write_text(text)
    write("masks/LC08_one.png", "masks/two.png", value=1)
    listing = list_source(scenes(tmp_path, bands=["B4"]))
    assert masks_in(listing, tmp_path) == {"LC08_one": "LC08_one.png", "LC08_two": "two.png"}


@pytest.mark.parametrize("kind", [scenes, photographs])
def test_masks_may_lie_in_a_folder_among_the_images(write, tmp_path, kind):
    write("images/a.tif", "images/b.tif")
    write("images/masks/a.tif", "images/masks/b.png", value=1)
    (tmp_path / "masks").symlink_to(tmp_path / "images/masks")
    tree = kind(tmp_path).model_dump(mode="json")
    inside = str(tmp_path / "images/masks")
    if kind is scenes:
        tree["source"]["labels"]["folder"] = inside
    else:
        tree["source"]["masks"] = inside
    listing = list_source(IngestConfig.model_validate(tree))
    assert len(listing.records) + len(listing.parts) == 2
    assert not listing.rejects
    assert not listing.ignored


@pytest.mark.parametrize("kind", [scenes, photographs])
def test_the_fingerprint_follows_the_masks_that_are_used(write, tmp_path, kind):
    write("images/2024/o.tif", "images/2025/o.tif")
    write("masks/2024/o.png", "masks/2025/o.png", "masks/nobody.png", value=1)
    source = kind(tmp_path).source
    seen = [fingerprint_dataset(source)]
    for name in ("masks/2024/o.png", "masks/2025/o.png"):  # each, whichever is listed last
        write(name, value=2)
        seen.append(fingerprint_dataset(source))
    assert len(set(seen)) == 3
    write("masks/nobody.png", value=2)
    assert fingerprint_dataset(source) == seen[-1]
    first, second = (tmp_path / f"masks/{name}/o.png" for name in ("2024", "2025"))
    write("masks/2024/o.png", value=1)
    before = fingerprint_dataset(source)
    held = first.read_bytes(), second.read_bytes()
    first.write_bytes(held[1])
    second.write_bytes(held[0])
    assert fingerprint_dataset(source) != before, "masks that were swapped are other data"
    write("masks/o.png", "masks/2025/o.tif", value=1)  # now nobody can tell
    assert fingerprint_dataset(source) not in {before, *seen}
