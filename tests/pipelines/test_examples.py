"""The example configurations on real data: they reach the documented metrics in time."""

import time

import numpy as np
import pytest
import yaml

from pipelines.demo.collection import Collection, make_collection
from tests.pipelines.maps_of_examples import cells_and_windows
from tests.pipelines.summaries import overall_metrics


def accuracy_of(summary):
    return overall_metrics(summary)["accuracy"]


@pytest.mark.slow
def test_landcover_runs_as_it_stands(repository, run_config, tmp_path):
    make_collection(str(tmp_path / "landcover"), Collection(scenes=3, tiles=3))
    done, summary = run_config(repository / "examples" / "landcover.yaml", tmp_path)
    assert done.returncode in (0, 3), done.stderr
    assert summary["metrics"] is not None
    assert accuracy_of(summary) > 0.5


@pytest.mark.recipes
@pytest.mark.parametrize(
    ("example", "least"), [("eurosat_from_scratch", 0.76), ("eurosat_mobilenet", 0.88)]
)
def test_eurosat(repository, run_config, tmp_path, shared_data, pretrained, example, least):
    """From scratch in half of the example's epochs, which must suffice for the threshold."""
    config = repository / "examples" / f"{example}.yaml"
    changes = {"ingest": {"source": {"kind": "folders", "uri": str(shared_data("eurosat_rgb"))}}}
    if example == "eurosat_mobilenet":
        changes["train"] = pretrained(config)
    else:
        epochs = yaml.safe_load(config.read_text())["train"]["epochs"]
        changes["train"] = {"epochs": epochs // 2}
    began = time.monotonic()
    done, summary = run_config(config, tmp_path, **changes)
    assert done.returncode == 0, summary["reason"]
    assert accuracy_of(summary) >= least
    assert summary["pushed_version"] == 1
    assert sum(summary["images"].values()) == 2000
    print(f"{example}: accuracy {accuracy_of(summary):.3f} in {time.monotonic() - began:.0f} s")
    if example == "eurosat_from_scratch":
        check_the_map_of_a_scene(tmp_path / "eurosat-models/eurosat", shared_data, tmp_path)


def check_the_map_of_a_scene(model_base, shared_data, folder):
    """The classes need not be right over NAIP; each must lie on its own ground."""
    scene = shared_data("geotiff_multiband") / "naip_m_4709963_se_14_1_20090818.tif"
    by_map, by_window = cells_and_windows(model_base, scene, 64, folder / "maps")
    assert by_map.shape == (11, 14)
    assert len(np.unique(by_map)) > 1
    np.testing.assert_array_equal(by_map, by_window)
