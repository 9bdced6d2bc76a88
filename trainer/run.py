"""The entry point that TFX's Trainer calls, by its dotted path `trainer.run.run_fn`."""

import os

from tfx.components.trainer.fn_args_utils import FnArgs

from components.raster.image import ImageSpec
from components.raster.task import SINGLE_LABEL
from serving.contract.contract import TUNED_PATH
from trainer.distribution.cluster import ClusterEnvironment
from trainer.training.config import TrainConfig
from trainer.training.job import (
    CHECKPOINT_ROOT_KEY,
    IMAGE_KEY,
    TASK_KEY,
    TRAIN_KEY,
    Job,
    run_job,
)
from trainer.training.splits import make_splits
from trainer.tune.space import apply, decode

LOG_DIR = "logs"


def run_fn(fn_args: FnArgs) -> None:
    """Trains on the examples of TFX's Trainer and exports the model to its serving folder.

    `custom_config` holds the `TrainConfig` under "train" and the `ImageSpec` under "image", both as
    JSON, and the `Task` of the examples under "task" (default: single_label). If it names a folder
    under "checkpoint_root", the checkpoints are stored there, and the next run with the same
    configuration and examples resumes a killed training. Otherwise they are stored in the ModelRun
    artifact, which TFX creates anew for every attempt. The ModelRun artifact keeps `logs/`:
    history.json, progress.jsonl, and TensorBoard's event files. The environment variables TF_CONFIG
    and TPU_NAME give workers and a TPU.

    The `hyperparameters` of a Tuner, if any, replace the configuration's values at their paths, and
    are stored beside the model.

    Raises:
        TrainingInterrupted: the process received SIGTERM; another attempt resumes from the saved
            state.
        SkymillError: the configuration or the examples do not permit training.
    """
    run_job(job_of(fn_args), ClusterEnvironment.of(os.environ))


def job_of(fn_args: FnArgs) -> Job:
    """Returns the job that TFX's Trainer requests; see `run_fn`."""
    custom = fn_args.custom_config or {}
    tuned = decode((fn_args.hyperparameters or {}).get("values", {}))
    config = apply(TrainConfig.model_validate_json(custom.get(TRAIN_KEY, "{}")), tuned)
    image = ImageSpec.model_validate_json(custom.get(IMAGE_KEY, "{}"))
    return Job(
        splits=make_splits(
            tuple(fn_args.train_files),
            tuple(fn_args.eval_files),
            custom.get(TASK_KEY, SINGLE_LABEL),
        ),
        image=image,
        config=config,
        model_dir=fn_args.serving_model_dir,
        log_dir=f"{fn_args.model_run_dir}/{LOG_DIR}",
        checkpoint_root=custom.get(CHECKPOINT_ROOT_KEY) or f"{fn_args.model_run_dir}/checkpoints",
        beside={TUNED_PATH: tuned} if tuned else {},
    )
