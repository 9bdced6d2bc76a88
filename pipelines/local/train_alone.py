"""A training outside the pipeline: nothing is ingested, evaluated or pushed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from components.raster.errors import ConfigError
from components.raster.full_disk import full_disk_as_error
from pipelines.config.tree import PipelineConfig
from pipelines.definition.temporary import own_temporary_folder
from pipelines.definition.workspace import Workspace
from pipelines.definition.written_folders import require_writable
from pipelines.local.console import output_to_log
from pipelines.local.latest import latest_examples, split_pattern
from pipelines.local.progress import NodeProgress
from pipelines.local.record import keep_config, new_run_id
from pipelines.page.content import CurveRow, read_best, read_curve
from pipelines.page.curves import write_curve_png
from trainer.training.progress import PROGRESS_FILE

LOG_DIR, MODEL_DIR, CURVE_FILE = "logs", "model", "learning_curve.png"


@dataclass(frozen=True)
class Training:
    """Result of a training: paths of its model, logs and pictures, its learning curve, and the
    curve's row whose weights the model has.
    """

    folder: str
    curve: tuple[CurveRow, ...]
    best: CurveRow

    @property
    def model(self) -> str:
        return os.path.join(self.folder, MODEL_DIR)

    @property
    def logs(self) -> str:
        return os.path.join(self.folder, LOG_DIR)


@own_temporary_folder()
def train_alone(
    config: PipelineConfig,
    config_path: str,
    environment: Mapping[str, str],
    run_id: str | None = None,
) -> Training:
    """Trains on the examples of the last run, or of a given one, and reports each epoch.

    Args:
        environment: may name a TPU, as TensorFlow defines it.
        run_id: by default the last run.

    A call with the same configuration and examples resumes a training that was stopped.

    Raises:
        ConfigError: the environment names several workers, or the workspace cannot be written.
        DiskFull: no space is left.
        SkymillError: there are no examples, or the training fails.
        WorkspaceBusyError: a run is in progress in the workspace.
    """
    _require_alone(environment)
    workspace, places = Workspace(config.workspace), {"workspace": config.workspace}
    examples = latest_examples(workspace.runs, run_id)
    require_writable(places)
    with full_disk_as_error(places), workspace.locked():
        folder = os.path.join(workspace.trainings, new_run_id())
        os.makedirs(folder)
        keep_config(config_path, folder)
        with output_to_log(os.path.join(folder, "framework.log")) as terminal:
            epochs = os.path.join(folder, LOG_DIR, "**", PROGRESS_FILE)
            progress = NodeProgress(terminal.err, epochs)
            progress.show_stage("training")
            try:
                _run(config, examples, folder, environment)
            finally:
                progress.close()
                if curve := read_curve(folder):
                    write_curve_png(curve, os.path.join(folder, CURVE_FILE))
    return Training(folder, curve, read_best(folder))


def _require_alone(environment: Mapping[str, str]) -> None:
    from trainer.distribution.cluster import ClusterEnvironment

    cluster = ClusterEnvironment.of(environment).cluster
    if cluster is not None:
        raise ConfigError(
            f"TF_CONFIG names {len(cluster.workers)} workers, but this command trains by itself: "
            "each would have a folder of its own. Start `python -m trainer.worker` once for each "
            "of them (docs/training.md shows how), or unset TF_CONFIG."
        )


def _run(
    config: PipelineConfig, examples: str, folder: str, environment: Mapping[str, str]
) -> None:
    from components.raster.tensorflow_import import import_tensorflow

    import_tensorflow()
    from trainer.distribution.cluster import ClusterEnvironment
    from trainer.training.job import Job, run_job
    from trainer.training.splits import make_splits

    train, evaluation = ((split_pattern(examples, split),) for split in ("train", "eval"))
    job = Job(
        splits=make_splits(train, evaluation, config.ingest.task),
        image=config.ingest.image,
        config=config.train,
        model_dir=os.path.join(folder, MODEL_DIR),
        log_dir=os.path.join(folder, LOG_DIR),
        checkpoint_root=Workspace(config.workspace).checkpoints,
    )
    run_job(job, ClusterEnvironment.of(environment))
