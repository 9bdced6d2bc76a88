"""A job that a step writes is the one that its workers read."""

from pathlib import Path

import pytest

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from components.raster.process_exit import EXIT_LASTING
from trainer.training.config import TrainConfig
from trainer.training.job import Job
from trainer.training.job_file import read_job, write_job
from trainer.training.splits import Splits
from trainer.worker import main


def test_a_job_is_read_as_it_was_written(tmp_path: Path) -> None:
    job = Job(
        splits=Splits(("a/*",), ("b/*",), ("field", "roof"), "multi_label"),
        image=ImageSpec(height_px=8, width_px=16),
        config=TrainConfig(batch_size=6),
        model_dir="/m",
        log_dir="/l",
        checkpoint_root="/c",
        beside={"tuned.json": {"learning_rate": 0.1}},
    )
    write_job(job, tmp_path / "job.json")
    assert read_job(tmp_path / "job.json") == job
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_a_file_that_is_no_job_is_a_failure_that_a_restart_would_repeat(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "job.json"
    path.write_text("{}")
    with pytest.raises(ConfigError, match="cannot be read as a training job"):
        read_job(path)
    assert main(["--job", str(path)]) == EXIT_LASTING
    assert capsys.readouterr().err.startswith(
        f"ConfigError: {path}: cannot be read as a training job"
    )


@pytest.mark.parametrize("words", [["--job", "a", "--task", "regression"], ["skymill.yaml"], []])
def test_a_worker_is_given_a_job_or_all_its_parts(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
