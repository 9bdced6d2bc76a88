"""Entry points that TFX's Tuner calls, by their dotted paths."""

from typing import Any

from tfx import types
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner import executor as stock
from tfx.components.tuner.component import Tuner as StockTuner
from tfx.components.tuner.component import TunerFnResult
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.types import artifact_utils
from tfx.types.standard_component_specs import TUNER_RESULTS_KEY

from components.raster.image import ImageSpec
from components.raster.task import SINGLE_LABEL
from trainer.training.config import TrainConfig
from trainer.training.job import IMAGE_KEY, TASK_KEY, TRAIN_KEY
from trainer.training.splits import make_splits
from trainer.tune.config import TuneConfig
from trainer.tune.search import Search
from trainer.tune.tuner import ChiefTuner

#: Keys of the Tuner's custom_config, besides those of the Trainer.
TUNE_KEY = "tune"
TUNING_ROOT_KEY = "tuning_root"


class Executor(stock.Executor):
    """TFX's executor, which also publishes the table, the plot and the curves of all trials."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Searches, writes TFX's two outputs, and then table, plot and curves."""
        working_dir = self._get_tmp_dir()
        tuner = stock.search(input_dict, exec_properties, working_dir, print_tuning_summary=False)
        stock.write_best_hyperparameters(tuner, output_dict)
        tuner.publish(artifact_utils.get_single_uri(output_dict[TUNER_RESULTS_KEY]))
        tuner.forget()


class Tuner(StockTuner):
    """TFX's Tuner with the executor above; `tuner_fn` is its user code."""

    EXECUTOR_SPEC = ExecutorClassSpec(Executor)


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Returns the chief of the search in `custom_config`, on the examples of the Tuner.

    `custom_config` holds, as JSON, the `TrainConfig` under "train", the `ImageSpec` under "image"
    and the `TuneConfig` under "tune". If it names a folder under "tuning_root", the search is
    stored there, and the next run with the same configuration and examples resumes a killed one.

    Raises:
        SkymillError: the examples lack class names.
    """
    custom = fn_args.custom_config or {}
    search = Search(
        splits=make_splits(
            tuple(fn_args.train_files),
            tuple(fn_args.eval_files),
            custom.get(TASK_KEY, SINGLE_LABEL),
        ),
        image=ImageSpec.model_validate_json(custom[IMAGE_KEY]),
        train=TrainConfig.model_validate_json(custom[TRAIN_KEY]),
        tune=TuneConfig.model_validate_json(custom[TUNE_KEY]),
    )
    workers = search.tune.workers
    root = workers.exchange if workers else custom.get(TUNING_ROOT_KEY) or fn_args.working_dir
    return TunerFnResult(tuner=ChiefTuner(search, root), fit_kwargs={})
