"""Examples of the last run, for commands that run a later stage alone."""

import glob
import os

from components.node.files import split_folder
from components.raster.errors import DataError
from pipelines.local.record import list_records


def latest_examples(runs_dir: str, run_id: str | None = None) -> str:
    """Returns the examples' folder of the newest run that made or reused examples that exist.

    Args:
        run_id: selects this run instead.

    Raises:
        DataError: no run has any.
    """
    for record in list_records(runs_dir):
        node = record.node("Ingest") if run_id in (None, record.run_id) else None
        if node is not None and glob.glob(split_pattern(node.uri("examples"), "*")):
            return node.uri("examples")
    reason = f"run {run_id} has left no examples" if run_id else "no run has made examples yet"
    raise DataError(f"{runs_dir}: {reason}. First: skymill run")


def split_pattern(examples: str, split: str) -> str:
    """Returns the pattern of a split's files, as TFX gives it to the trainer."""
    return os.path.join(split_folder(examples, split), "*")
