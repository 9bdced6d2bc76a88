"""Results of a search, for the summary of a run and for `skymill tune`."""

import os
import shutil

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from pipelines.local.console import plain_table
from pipelines.local.record import RunRecord
from trainer.tune.results import CSV_FILE, PICTURE_FILE, Results, read_results, shown

_MOST_ROWS = 10


def tuning_of(record: RunRecord) -> Results | None:
    """Returns the trials of a run's Tuner, cached or not; None for a run without one."""
    folder = _folder(record)
    return read_results(folder) if folder else None


def keep_tuning(record: RunRecord, folder: str) -> None:
    """Copies the table and the picture of the trials to the run's folder."""
    if source := _folder(record):
        for name in (CSV_FILE, PICTURE_FILE):
            shutil.copyfile(os.path.join(source, name), os.path.join(folder, name))


def tuning_table(results: Results) -> RenderableType:
    """Returns a table of the best trials; the training uses the values of the first one."""
    rows = results.rows[:_MOST_ROWS]
    headers = (f"{results.algorithm} search", results.objective, "epochs", "seconds", "values")
    table = plain_table(*map(escape, headers))
    for row in rows:
        cells = (
            f"  {row.rank or row.status}",
            "" if row.rank is None else f"{row.objective:.4f}",
            str(row.epochs),
            f"{row.seconds:.1f}",
            # One column for all values: separate ones would be narrower than their names.
            ", ".join(f"{path} {shown(row.values.get(path))}" for path in results.paths),
        )
        table.add_row(*map(escape, cells), style="bold" if row.rank == 1 else None)
    # Not a caption of the table, which would wrap to the table's width.
    return Group(table, *(Text(line, "dim", overflow="fold") for line in _note(results)))


def _note(results: Results) -> list[str]:
    """Returns the number of trials that the table omits, and the first failed trial's error."""
    failed = [row for row in results.rows if row.message]
    parts = []
    if len(results.rows) > _MOST_ROWS:
        parts.append(f"of {len(results.rows)} trials")
    if failed:
        parts.append(f"{len(failed)} failed; the first: {failed[0].message.splitlines()[0]}")
    return ["  " + ", ".join(parts)] if parts else []


def _folder(record: RunRecord) -> str | None:
    node = record.node("Tuner")
    return node.uri("tuner_results") if node else None
