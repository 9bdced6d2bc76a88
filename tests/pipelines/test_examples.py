"""The example configurations on real data: what they promise, within the time they promise."""

import time

import pytest
import yaml

from pipelines.demo.collection import Collection, make_collection

pytestmark = pytest.mark.slow


def accuracy_of(summary):
    [overall] = [s for s in summary["metrics"]["slices"] if s["slice"] == "overall"]
    return overall["candidate"]["accuracy"]


def test_landcover_runs_as_it_stands(repository, run_config, tmp_path):
    make_collection(str(tmp_path / "landcover"), Collection(scenes=3, tiles=3))
    done, summary = run_config(repository / "examples" / "landcover.yaml", tmp_path)
    assert done.returncode in (0, 3), done.stderr
    assert summary["metrics"] is not None
    assert accuracy_of(summary) > 0.5


@pytest.mark.parametrize(
    ("example", "least"), [("eurosat_from_scratch", 0.76), ("eurosat_mobilenet", 0.88)]
)
def test_eurosat(repository, run_config, tmp_path, shared_data, example, least):
    changes = {"ingest": {"source": {"kind": "folders", "uri": str(shared_data("eurosat_rgb"))}}}
    if example == "eurosat_mobilenet":
        [weights] = shared_data("models/mobilenet_v2_035_224_no_top").glob("*.h5")
        tree = yaml.safe_load((repository / "examples" / f"{example}.yaml").read_text())
        changes["train"] = {"model": {**tree["train"]["model"], "weights": str(weights)}}
    began = time.monotonic()
    done, summary = run_config(repository / "examples" / f"{example}.yaml", tmp_path, **changes)
    assert done.returncode == 0, summary["reason"]
    assert accuracy_of(summary) >= least
    assert summary["pushed_version"] == 1
    assert sum(summary["images"].values()) == 2000
    print(f"{example}: accuracy {accuracy_of(summary):.3f} in {time.monotonic() - began:.0f} s")
