"""One worker of a training that spans processes: `python -m trainer.worker CONFIG [options]`.

Every worker is started with the same arguments and a TF_CONFIG of its own; the chief, the first of
them, exports the model. Examples, logs, checkpoints and model lie where all workers can reach them.
Exit codes: 0 done, 1 failed, 2 wrong call, 143 stopped by SIGTERM with its state saved.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from components.raster.errors import ConfigError, SkymillError
from components.raster.full_disk import full_disk_told
from components.raster.image import ImageSpec
from components.raster.task import TASKS
from trainer.distribution.cluster import Surroundings
from trainer.training.checkpoint import TrainingInterrupted
from trainer.training.config import TrainConfig
from trainer.training.job import Job, run_job
from trainer.training.splits import make_splits

#: Exit code after SIGTERM: 128 + SIGTERM, as shells report it.
INTERRUPTED = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as the arguments say and returns the exit code."""
    given = _parser().parse_args(arguments)
    try:
        with full_disk_told({"--output": given.output}):
            run_job(_job(given), Surroundings.of(os.environ))
    except TrainingInterrupted as interrupted:
        print(interrupted, file=sys.stderr)
        return INTERRUPTED
    except SkymillError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.worker", description=__doc__)
    parser.add_argument("config", help="a configuration; ingest.image and train are read of it")
    parser.add_argument("--examples", required=True, help="an Examples artifact, as ingest left it")
    parser.add_argument("--output", required=True, help="folder for model, logs and checkpoints")
    parser.add_argument("--task", choices=TASKS, required=True, help="what the examples tell")
    return parser


def _job(given: argparse.Namespace) -> Job:
    tree = _read(given.config)
    context = {"base_dir": os.path.dirname(os.path.abspath(given.config))}
    try:
        image = ImageSpec.model_validate(tree.get("ingest", {}).get("image", {}), context=context)
        config = TrainConfig.model_validate(tree.get("train", {}), context=context)
    except ValidationError as error:
        raise ConfigError(f"{given.config}: {error}") from error
    train, evaluation = ((f"{given.examples}/Split-{name}/*",) for name in ("train", "eval"))
    return Job(
        splits=make_splits(train, evaluation, given.task),
        image=image,
        config=config,
        model_dir=f"{given.output}/model",
        log_dir=f"{given.output}/logs",
        checkpoint_root=f"{given.output}/checkpoints",
    )


def _read(path: str) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} is no configuration; skymill init FOLDER writes one.")
    return tree


if __name__ == "__main__":
    sys.exit(main())
