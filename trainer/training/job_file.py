"""A training job as a JSON file, for workers that share its folder."""

import json
from dataclasses import asdict, fields
from pathlib import Path

from pydantic import ValidationError

from components.raster.errors import ConfigError
from components.raster.image import ImageSpec
from trainer.training.config import TrainConfig
from trainer.training.job import Job
from trainer.training.splits import Splits


def write_job(job: Job, path: Path) -> None:
    """Writes a job; replaces an existing file atomically."""
    tree = {one.name: getattr(job, one.name) for one in fields(job)}
    tree |= {
        "splits": asdict(job.splits),
        "image": job.image.model_dump(mode="json"),
        "config": job.config.model_dump(mode="json"),
        "beside": dict(job.beside),
    }
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(tree), encoding="utf-8")
    partial.replace(path)


def read_job(path: Path) -> Job:
    """Reads the output of `write_job`.

    Raises:
        ConfigError: the file cannot be read, or is not a job of this version.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        splits = tree.pop("splits")
        return Job(
            splits=Splits(
                train=tuple(splits["train"]),
                evaluation=tuple(splits["evaluation"]),
                classes=tuple(splits["classes"]),
                task=splits["task"],
            ),
            image=ImageSpec.model_validate(tree.pop("image")),
            config=TrainConfig.model_validate(tree.pop("config")),
            **tree,
        )
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        raise ConfigError(f"{path}: cannot be read as a training job: {error}") from error
