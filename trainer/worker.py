"""One worker of a training that spans processes: `python -m trainer.worker CONFIG [options]`.

A step of a pipeline writes the whole job to a file: `python -m trainer.worker --job FILE`.

Start every worker with the same arguments and its own TF_CONFIG. The chief, which is the first
worker, exports the model. All workers must be able to reach the folders of examples, logs,
checkpoints and model. Exit codes: 0 success, 1 failure, 2 wrong call, 4 faulty data or
configuration, so that a restart would fail again, 143 stopped by SIGTERM with its state saved.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from components.raster.errors import ConfigError, SkymillError, is_lasting
from components.raster.full_disk import full_disk_as_error
from components.raster.image import ImageSpec
from components.raster.process_exit import EXIT_LASTING
from components.raster.task import TASKS
from trainer.distribution.cluster import ClusterEnvironment
from trainer.training.checkpoint import TrainingInterrupted
from trainer.training.config import TrainConfig
from trainer.training.failures import OutOfMemory
from trainer.training.job import Job, run_job
from trainer.training.job_file import read_job
from trainer.training.splits import make_splits

#: Exit code after SIGTERM: 128 + SIGTERM, as shells report it.
INTERRUPTED = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as the arguments say and returns the exit code."""
    given = _arguments(arguments)
    try:
        with full_disk_as_error({"--output": given.output or os.path.dirname(given.job)}):
            job = read_job(Path(given.job)) if given.job else _job(given)
            run_job(job, ClusterEnvironment.of(os.environ))
    except TrainingInterrupted as interrupted:
        print(interrupted, file=sys.stderr)
        return INTERRUPTED
    except SkymillError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return EXIT_LASTING if is_lasting(error) or isinstance(error, OutOfMemory) else 1
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trainer.worker", description=__doc__)
    parser.add_argument(
        "config", nargs="?", help="configuration, of which only ingest.image and train are used"
    )
    parser.add_argument("--job", help="file with the whole job, instead of all other arguments")
    parser.add_argument("--examples", help="Examples artifact of an ingest")
    parser.add_argument("--output", help="folder for model, logs and checkpoints")
    parser.add_argument("--task", choices=TASKS, help="task of the examples")
    given = parser.parse_args(arguments)
    others = (given.config, given.examples, given.output, given.task)
    if given.job and any(others):
        parser.error("--job stands alone")
    if not given.job and not all(others):
        parser.error("give CONFIG, --examples, --output and --task, or --job alone")
    return given


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
        raise ConfigError(f"{path} is not a configuration; skymill init FOLDER writes one.")
    return tree


if __name__ == "__main__":
    sys.exit(main())
