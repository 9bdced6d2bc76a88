"""Training jobs: from examples to an exported model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from components.raster.image import ImageSpec
from trainer.board.pictures import write_pictures
from trainer.data.examples import list_files
from trainer.distribution.cluster import ClusterEnvironment
from trainer.training.config import TrainConfig
from trainer.training.export import export
from trainer.training.splits import Splits
from trainer.training.train import fingerprint, train

#: Keys of the Trainer's custom_config; the first two hold JSON, the third a task's name.
TRAIN_KEY = "train"
IMAGE_KEY = "image"
TASK_KEY = "task"
CHECKPOINT_ROOT_KEY = "checkpoint_root"


@dataclass(frozen=True)
class Job:
    """Inputs, configuration and outputs of a training; folders are local or remote.

    Attributes:
        checkpoint_root: has a folder for each training, named by a digest of everything that
            determines its result and deleted once the model is exported.
        beside: values to write to the model's folder as JSON, by their paths there.
    """

    splits: Splits
    image: ImageSpec
    config: TrainConfig
    model_dir: str
    log_dir: str
    checkpoint_root: str
    beside: Mapping[str, Any] = field(default_factory=dict)


def run_job(job: Job, environment: ClusterEnvironment) -> None:
    """Trains and exports; each of several workers runs the same job, and the chief exports.

    Raises:
        TrainingInterrupted: the process received SIGTERM; the same job resumes from the saved
            state.
        SkymillError: the configuration or the examples do not permit training.
    """
    checkpoint_dir = f"{job.checkpoint_root}/{fingerprint(job.splits, job.image, job.config)}"
    trained = train(
        job.splits,
        job.image,
        job.config,
        job.log_dir,
        checkpoint_dir,
        environment=environment,
    )
    if environment.cluster is None or environment.cluster.is_chief:
        best = trained.history.best
        write_pictures(
            *(trained.model, trained.contract, list_files(job.splits.evaluation), job.log_dir),
            step=best.epoch if best else 0,
            batch_size=trained.history.batch_size,
        )
        export(
            *(trained.model, trained.contract, job.model_dir),
            *(trained.explainable, trained.embedded, trained.unknown),
        )
        for path, value in job.beside.items():
            with tf.io.gfile.GFile(f"{job.model_dir}/{path}", "w") as file:
                json.dump(value, file, indent=2)
        tf.io.gfile.rmtree(checkpoint_dir)
