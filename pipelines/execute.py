"""A local run from start to end: lock, record, run, sum up."""

import os
import shutil

from rich.console import Console

from pipelines.config import PipelineConfig
from pipelines.console import noise_to
from pipelines.progress import Progress
from pipelines.record import (
    RunRecord,
    new_run_id,
    utc_now,
)
from pipelines.summary import summarise
from pipelines.workspace import Workspace

LOG_FILE, CONFIG_FILE, SUMMARY_FILE = "framework.log", "config.yaml", "summary.json"


def execute(config: PipelineConfig, config_path: str, as_json: bool = False) -> RunRecord:
    """Runs the pipeline on this machine and prints progress and, at the end, a summary.

    A run that fails or is blocked returns its record as well; only what keeps it from starting
    (a bad source, a busy workspace) is raised.

    Raises:
        WorkspaceBusyError: another run is going on in the same workspace.
        DataError: the source cannot be read.
    """
    workspace = Workspace(config.workspace)
    record = RunRecord(new_run_id(), config.name, utc_now(), process_id=os.getpid())
    folder = workspace.run_dir(record.run_id)
    with workspace.locked(), noise_to(os.path.join(folder, LOG_FILE)) as console:
        shutil.copyfile(config_path, os.path.join(folder, CONFIG_FILE))
        progress = Progress(Console(stderr=True) if as_json else console, workspace.artifacts)
        record = _run(config, workspace, record, progress)
        summary = summarise(record, folder)
        _ = summary
    return record


def _run(
    config: PipelineConfig, workspace: Workspace, record: RunRecord, progress: Progress
) -> RunRecord:
    raise NotImplementedError
