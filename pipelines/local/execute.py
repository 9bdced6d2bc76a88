"""A local run from start to end: lock, record, run, summarise."""

import os
import sys
import traceback
from dataclasses import replace

from components.gate.report import GateFailed
from components.raster.errors import SkymillError
from components.raster.full_disk import full_disk_as_error
from components.raster.masking import masked
from components.raster.tensorflow_import import import_tensorflow
from components.raster.unscanned import unscanned_imports
from pipelines.config.tree import PipelineConfig
from pipelines.definition.kinds import (
    Kind,
    at_start,
    create,
    inputs_of,
    name_of,
    require_runnable,
)
from pipelines.definition.temporary import own_temporary_folder
from pipelines.definition.workspace import Workspace
from pipelines.definition.written_folders import require_writable, written_folders
from pipelines.local.console import Terminal, output_to_log
from pipelines.local.process_mark import mark_of
from pipelines.local.progress import NodeProgress
from pipelines.local.record import (
    BLOCKED,
    FAILED,
    SUCCEEDED,
    NodeRecord,
    RunRecord,
    find_record,
    keep_config,
    new_run_id,
    utc_now,
    write_record,
)
from pipelines.local.summary import print_summary, summarise
from trainer.training.progress import PROGRESS_FILE

LOG_FILE = "framework.log"
_EPOCHS = f"Trainer/model_run/*/logs/**/{PROGRESS_FILE}"
_TRIALS = "*/trials.jsonl"


@own_temporary_folder()
def execute(
    config: PipelineConfig,
    config_path: str,
    as_json: bool = False,
    key: str = "",
    kind: Kind = "training",
) -> RunRecord:
    """Runs the pipeline on this machine; prints progress and, at the end, a summary.

    A run that fails or is blocked also returns its record; only errors that prevent its start are
    raised. Each `key` has one run: a second call returns the record of the first.

    Raises:
        ConfigError: a folder that the run writes to cannot be written.
        DiskFull: no space is left even for the run's record.
        WorkspaceBusyError: another run is in progress in the same workspace.
    """
    workspace, places = Workspace(config.workspace), written_folders(config, kind)
    require_writable(places)
    with full_disk_as_error(places), workspace.locked():
        # Under the lock, so that of two processes with one key the later one finds the run.
        if key and (found := find_record(workspace.runs, key)):
            return found
        process = os.getpid()
        record = RunRecord(
            new_run_id(),
            name_of(config, kind),
            utc_now(),
            process_id=process,
            process_mark=mark_of(process),
            key=key,
        )
        folder = workspace.run_dir(record.run_id)
        with output_to_log(os.path.join(folder, LOG_FILE)) as terminal:
            keep_config(config_path, folder)
            record = _Run(config, workspace, record, terminal, kind).go()
            print_summary(summarise(record, folder), terminal.out, as_json)
    return record


class _Run:
    """A run in progress: records every node as soon as it starts or ends."""

    def __init__(
        self,
        config: PipelineConfig,
        workspace: Workspace,
        record: RunRecord,
        terminal: Terminal,
        kind: Kind,
    ) -> None:
        self._config, self._kind = config, kind
        self._folder = workspace.run_dir(record.run_id)
        self._progress = NodeProgress(
            terminal.err,
            os.path.join(workspace.artifacts, _EPOCHS),
            os.path.join(workspace.tuning, _TRIALS),
        )
        self._record = record

    def go(self) -> RunRecord:
        try:
            self._keep(self._record)
            with full_disk_as_error(written_folders(self._config)):
                self._launch()
            self._keep(self._record.closed(SUCCEEDED))
        except GateFailed as error:
            self._keep(self._record.closed(BLOCKED, str(error)))
        except SkymillError as error:
            self._keep(self._record.closed(FAILED, str(error)))
        except KeyboardInterrupt:
            self._keep(self._record.closed(FAILED, "interrupted"))
            raise
        except Exception as error:
            # goes to the log; the user first needs the failed node and its error
            print(masked(traceback.format_exc()), file=sys.stderr)
            self._keep(self._record.closed(FAILED, f"{type(error).__name__}: {error}"))
        finally:
            self._progress.close()
        return self._record

    def _launch(self) -> None:
        self._progress.show_stage("looking at the source")
        from pipelines.definition.extensions import require_extensions
        from pipelines.definition.required_paths import require_inputs

        config = at_start(self._config, self._kind)
        require_inputs(config, self._kind)
        require_runnable(config, self._kind)
        require_extensions(config)
        inputs = inputs_of(config, self._kind)
        if self._kind == "training":
            inputs = replace(inputs, served=_served(config))
        self._keep(replace(self._record, fingerprint=inputs.fingerprint, span=inputs.span))
        self._progress.show_stage("loading TensorFlow and TFX")
        with unscanned_imports():
            import_tensorflow()
            from pipelines.local.run_local import run_local

            pipeline = create(config, inputs, self._kind)
        run_local(pipeline, self._record.run_id, self._observe)

    def _observe(self, node: NodeRecord) -> None:
        self._progress.observe(node)
        self._keep(self._record.with_node(node))

    def _keep(self, record: RunRecord) -> None:
        self._record = record
        write_record(self._folder, record)


def _served(config: PipelineConfig) -> str:
    """Names the state of the served model, so that an unchanged one is the same baseline."""
    from serving.store.served import served_state

    baseline = config.baseline
    return served_state(config.model_base, baseline.endpoint, baseline.timeout_s) or ""
