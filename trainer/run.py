"""The entry point that TFX's Trainer calls, by its dotted path `trainer.run.run_fn`."""

import posixpath

import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs

from components.raster.image import ImageSpec
from components.raster.task import SINGLE_LABEL, Task
from trainer.config import TrainConfig
from trainer.examples import class_names
from trainer.export import export
from trainer.train import Splits, fingerprint, train

#: Keys of the Trainer's custom_config; the first two hold JSON, the third a task's name.
TRAIN_KEY = "train"
IMAGE_KEY = "image"
TASK_KEY = "task"
CHECKPOINT_ROOT_KEY = "checkpoint_root"

LOG_DIR = "logs"


def run_fn(fn_args: FnArgs) -> None:
    """Trains on the examples of the Trainer and exports the model where it wants it.

    `custom_config` holds the `TrainConfig` under "train" and the `ImageSpec` under "image", both as
    JSON, and the `Task` of the examples under "task" (default: single_label). Where it names a
    folder under "checkpoint_root", the checkpoints lie there, and a training that was killed is
    resumed by the next run with the same configuration and examples; otherwise they lie in the
    ModelRun artifact, which TFX gives every attempt anew. The ModelRun artifact keeps `logs/`:
    history.json, progress.jsonl, and TensorBoard's event files.

    Raises:
        SkymillError: the configuration or the examples do not allow to train.
    """
    custom = fn_args.custom_config or {}
    config = TrainConfig.model_validate_json(custom.get(TRAIN_KEY, "{}"))
    image = ImageSpec.model_validate_json(custom.get(IMAGE_KEY, "{}"))
    train_files, eval_files = tuple(fn_args.train_files), tuple(fn_args.eval_files)
    task: Task = custom.get(TASK_KEY, SINGLE_LABEL)
    of_numbers = task == "regression"
    classes = class_names(_roots(train_files + eval_files), may_be_none=of_numbers)
    splits = Splits(train_files, eval_files, classes, task)
    checkpoint_root = custom.get(CHECKPOINT_ROOT_KEY) or f"{fn_args.model_run_dir}/checkpoints"
    checkpoint_dir = f"{checkpoint_root}/{fingerprint(splits, image, config)}"
    trained = train(splits, image, config, f"{fn_args.model_run_dir}/{LOG_DIR}", checkpoint_dir)
    export(trained.model, trained.contract, fn_args.serving_model_dir)
    tf.io.gfile.rmtree(checkpoint_dir)


def _roots(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """The uris of the Examples artifacts: `<uri>/Split-<name>/*` names them."""
    parents = (posixpath.dirname(posixpath.dirname(pattern)) for pattern in patterns)
    return tuple(dict.fromkeys(parents))
