"""The example configurations on real data: what they promise, within the time they promise."""

import shutil
import time

import pytest

from pipelines.demo.collection import Collection, make_collection

pytestmark = pytest.mark.slow


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


def metrics_of(summary):
    [overall] = [s for s in summary["metrics"]["slices"] if s["slice"] == "overall"]
    return overall["candidate"]


def accuracy_of(summary):
    return metrics_of(summary)["accuracy"]


def test_landcover_runs_as_it_stands(repository, run_config, tmp_path):
    make_collection(str(tmp_path / "landcover"), Collection(scenes=3, tiles=3))
    done, summary = run_config(repository / "examples" / "landcover.yaml", tmp_path)
    assert done.returncode in (0, 3), done.stderr
    assert summary["metrics"] is not None
    assert accuracy_of(summary) > 0.5


@pytest.mark.parametrize(
    ("example", "least"), [("eurosat_from_scratch", 0.76), ("eurosat_mobilenet", 0.88)]
)
def test_eurosat(repository, run_config, tmp_path, shared_data, pretrained, example, least):
    config = repository / "examples" / f"{example}.yaml"
    changes = {"ingest": {"source": {"kind": "folders", "uri": str(shared_data("eurosat_rgb"))}}}
    if example == "eurosat_mobilenet":
        changes["train"] = pretrained(config)
    began = time.monotonic()
    done, summary = run_config(config, tmp_path, **changes)
    assert done.returncode == 0, summary["reason"]
    assert accuracy_of(summary) >= least
    assert summary["pushed_version"] == 1
    assert sum(summary["images"].values()) == 2000
    print(f"{example}: accuracy {accuracy_of(summary):.3f} in {time.monotonic() - began:.0f} s")


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
    found = metrics_of(summary)
    print(f"{example} in {time.monotonic() - began:.0f} s: {summary['images']} images, {found}")
    assert all(found[metric] >= value for metric, value in least.items())
    assert summary["pushed_version"] == 1
