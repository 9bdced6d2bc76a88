"""The examples of pixels and objects on real data, in a file of their own: they take long."""

import shutil
import time

import pytest
import yaml

from components.raster.split import SplitConfig, drawn_split
from tests.pipelines.map_of_dubai import ious_of_map_and_tiles
from tests.pipelines.summaries import overall_metrics

pytestmark = pytest.mark.recipes

#: Of each example its data, and what its model must reach at least on ground or images that it has
#: not seen. A detector without training finds next to nothing; calling all of the scene with
#: footprints ground gives a mean IoU of 0.47.
PIXELS_AND_OBJECTS = {
    "dubai_unet": ("dubai_segmentation", {"mean_iou": 0.48, "pixel_accuracy": 0.75}),
    "spacenet_footprints": (
        "aerial_detection/spacenet_buildings",
        {"mean_iou": 0.58, "iou/building": 0.22},
    ),
    "deepforest_trees": (
        "aerial_detection/deepforest_trees",
        {"mean_average_precision_50": 0.4, "mean_average_precision": 0.12},
    ),
}


@pytest.mark.parametrize("example", PIXELS_AND_OBJECTS)
def test_pixels_and_objects(repository, run_config, tmp_path, shared_data, example):
    data, least = PIXELS_AND_OBJECTS[example]
    shared_data(data)
    root = shared_data("models/mobilenet_v2_035_224_no_top").parents[1]
    examples = shutil.copytree(repository / "examples", tmp_path / "examples")
    path = examples / f"{example}.yaml"
    path.write_text(path.read_text().replace("../../shared/data", str(root)))
    began = time.monotonic()
    done, summary = run_config(path, examples)
    assert done.returncode == 0, summary["reason"]
    found = overall_metrics(summary)
    print(f"{example} in {time.monotonic() - began:.0f} s: {summary['images']} images, {found}")
    assert all(found[metric] >= value for metric, value in least.items())
    assert summary["pushed_version"] == 1
    if example == "dubai_unet":
        check_the_map_of_a_held_out_image(
            root / data, examples / "dubai-models/dubai", path, tmp_path
        )


def check_the_map_of_a_held_out_image(data, model_base, path, folder):
    """The map is as good as the tiles that the evaluation measures."""
    ingest = yaml.safe_load(path.read_text())["ingest"]
    shares = SplitConfig.model_validate(ingest["split"])
    names = sorted(image.stem for image in (data / "images").glob("*.jpg"))
    held_out = next(it for it in names if drawn_split("scene", it, shares) == "test")
    by_map, by_tiles = ious_of_map_and_tiles(
        model_base,
        data / "images" / f"{held_out}.jpg",
        data / "masks" / f"{held_out}.png",
        ingest["source"]["labels"]["legend"]["colours"],
        folder / "maps",
    )
    print(f"{held_out}: mean IoU {by_map:.3f} of the map, {by_tiles:.3f} of tiles side by side")
    assert by_map == pytest.approx(by_tiles, abs=0.03)
