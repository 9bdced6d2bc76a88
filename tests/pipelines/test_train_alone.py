"""`skymill train`: the trainer by itself on what a run has ingested."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from components.raster.errors import ConfigError, DataError
from pipelines.cli.main import cli
from pipelines.config.tree import load_config
from pipelines.definition.workspace import Workspace, WorkspaceBusyError
from pipelines.local.latest import latest_examples
from pipelines.local.record import Artifact, NodeRecord, RunRecord, write_record
from pipelines.local.train_alone import train_alone
from pipelines.page.content import read_curve
from serving.contract.contract import read_contract
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


def config_file(folder: Path, **train: object) -> Path:
    config = {
        "name": "toy",
        "workspace": "work",
        "ingest": {
            "source": {"kind": "folders", "uri": "images"},
            "image": {"height_px": SIDE_PX, "width_px": SIDE_PX},
        },
        "train": {
            "model": {"kind": "small_cnn", "filters": [4]},
            "epochs": 2,
            "batch_size": 8,
            **train,
        },
        "push": {"model_dir": "models"},
    }
    path = folder / "skymill.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_workspace_in_use_is_left_alone(tmp_path: Path) -> None:
    path, workspace = config_file(tmp_path), Workspace(str(tmp_path / "work"))
    record_of(workspace, "1", write_examples(tmp_path / "examples"))
    with workspace.locked(), pytest.raises(WorkspaceBusyError, match="another run is in progress"):
        train_alone(load_config(str(path)), str(path), {})
    assert not Path(workspace.trainings).exists()


def test_one_of_several_workers_is_refused_with_the_command_to_start(tmp_path: Path) -> None:
    path = config_file(tmp_path)
    workers = {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}
    environment = {
        "TF_CONFIG": json.dumps({"cluster": workers, "task": {"type": "worker", "index": 0}})
    }
    with pytest.raises(ConfigError, match=r"names 2 workers.*`python -m trainer\.worker`"):
        train_alone(load_config(str(path)), str(path), environment)


def test_the_curve_of_a_training_that_did_not_end_is_as_far_as_it_came(tmp_path: Path) -> None:
    row = {"epoch": 1, "epochs": 9, "loss": 0.5, "val_loss": 0.75}
    (tmp_path / "logs").mkdir()
    result = "\n".join(json.dumps({**row, "epoch": epoch}) for epoch in (1, 2))
    (tmp_path / "logs" / "progress.jsonl").write_text(f'{result}\n{{"epoch": 3, "lo')
    assert read_curve(str(tmp_path)) == (
        {"epoch": 1, "loss": 0.5, "val_loss": 0.75},
        {"epoch": 2, "loss": 0.5, "val_loss": 0.75},
    )


@pytest.mark.slow
def test_a_training_leaves_a_model_its_logs_and_pictures(tmp_path: Path) -> None:
    path = config_file(tmp_path, early_stopping={"monitor": "val_accuracy"})
    workspace = Workspace(str(tmp_path / "work"))
    record_of(workspace, "1", write_examples(tmp_path / "examples"))
    ran = CliRunner().invoke(cli, ["train", str(path), "--profile", "2-3", "--json"])
    assert ran.exit_code == 0, ran.output
    result = json.loads(ran.stdout)
    assert [row["epoch"] for row in result["epochs"]] == [1, 2]
    assert result["best"] == max(result["epochs"], key=lambda row: row["val_accuracy"])
    folder = Path(result["folder"])
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
