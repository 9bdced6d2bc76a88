"""`skymill train`: the trainer by itself on what a run has ingested."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from components.raster.errors import DataError
from pipelines.cli.main import cli
from pipelines.latest import latest_examples
from pipelines.record import Artifact, NodeRecord, RunRecord, write_record
from pipelines.workspace import Workspace
from serving.contract import read_contract
from tests.trainer.conftest import SIDE_PX, write_examples


def record_of(workspace: Workspace, run_id: str, examples: Path | None) -> None:
    record = RunRecord(run_id, "toy", "2026-01-01T00:00:00+00:00", outcome="failed")
    if examples:
        outputs = {"examples": (Artifact("Examples", str(examples), 1),)}
        record = record.with_node(NodeRecord("Ingest", "complete", outputs=outputs))
    write_record(workspace.run_dir(run_id), record)


def test_the_examples_are_those_of_the_newest_run_that_has_any(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "work"))
    with pytest.raises(DataError, match="no run has made examples yet"):
        latest_examples(workspace.runs)
    for name in ("old", "new"):
        (tmp_path / name / "Split-train").mkdir(parents=True)
        (tmp_path / name / "Split-train" / "data").touch()
    for run_id, name in (("1", "old"), ("2", "new"), ("3", "gone"), ("4", None)):
        record_of(workspace, run_id, tmp_path / name if name else None)
    assert latest_examples(workspace.runs) == str(tmp_path / "new")
    assert latest_examples(workspace.runs, "1") == str(tmp_path / "old")
    with pytest.raises(DataError, match="run 3 has left no examples"):
        latest_examples(workspace.runs, "3")


@pytest.mark.slow
def test_a_training_leaves_a_model_its_logs_and_pictures(tmp_path: Path) -> None:
    config = {
        "name": "toy",
        "workspace": "work",
        "ingest": {
            "source": {"kind": "folders", "uri": "images"},
            "image": {"height_px": SIDE_PX, "width_px": SIDE_PX},
        },
        "train": {"model": {"kind": "small_cnn", "filters": [4]}, "epochs": 2, "batch_size": 8},
        "push": {"model_dir": "models"},
    }
    path = tmp_path / "skymill.yaml"
    path.write_text(yaml.safe_dump(config))
    workspace = Workspace(str(tmp_path / "work"))
    record_of(workspace, "1", write_examples(tmp_path / "examples"))
    ran = CliRunner().invoke(cli, ["train", str(path), "--profile", "2-3", "--json"])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert [row["epoch"] for row in told["epochs"]] == [1, 2]
    folder = Path(told["folder"])
    assert read_contract(folder / "model").classes == ("water", "forest")
    for name in ("learning_curve.png", "logs/predictions.png", "logs/confusion.png"):
        with Image.open(folder / name) as picture:
            assert picture.format == "PNG"
    events = EventAccumulator(str(folder / "logs" / "train"), {"tensors": 0})
    events.Reload()
    assert len(events.Tensors("epoch_learning_rate")) == 2
    assert list((folder / "logs" / "plugins" / "profile").rglob("*.xplane.pb"))
    assert not any((tmp_path / "work" / "checkpoints").iterdir()), "only while it is under way"
    assert not (tmp_path / "models").exists(), "nothing is pushed"
