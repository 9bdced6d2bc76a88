"""What a search found, for the summary of a run and for `skymill tune`."""

import os
import shutil

from rich.markup import escape
from rich.table import Table

from pipelines.record import RunRecord
from trainer.tune.results import CSV_FILE, PICTURE_FILE, Results, Row, read_results, shown

_MOST_ROWS = 10
_LONGEST_MESSAGE = 60


def tuning_of(record: RunRecord) -> Results | None:
    """The trials that a run's Tuner made, now or when it was cached; None where it had none."""
    folder = _folder(record)
    return read_results(folder) if folder else None


def keep_tuning(record: RunRecord, folder: str) -> None:
    """Puts the table and the picture of the trials into the run's folder."""
    if source := _folder(record):
        for name in (CSV_FILE, PICTURE_FILE):
            shutil.copyfile(os.path.join(source, name), os.path.join(folder, name))


def tuning_table(results: Results) -> Table:
    """The best trials and how each ended; the first one's values are those of the training."""
    rows = results.rows[:_MOST_ROWS]
    title = f"{results.algorithm} search" + (
        f", {len(rows)} of {len(results.rows)} trials" if len(results.rows) > len(rows) else ""
    )
    table = Table(box=None, title_justify="left", pad_edge=False)
    for header in (title, results.objective, *results.paths, "epochs", "seconds"):
        table.add_column(escape(header), overflow="fold")
    for row in rows:
        cells = (
            f"  {row.rank or row.status}",
            f"{row.objective:.4f}" if row.rank is not None else _reason(row),
            *(shown(row.values.get(path)) for path in results.paths),
            str(row.epochs),
            f"{row.seconds:.1f}",
        )
        table.add_row(*map(escape, cells), style="bold" if row.rank == 1 else None)
    return table


def _folder(record: RunRecord) -> str | None:
    node = record.node("Tuner")
    return node.uri("tuner_results") if node else None


def _reason(row: Row) -> str:
    message = row.message.splitlines()[0] if row.message else ""
    cut = len(message) > _LONGEST_MESSAGE
    return f"{message[: _LONGEST_MESSAGE - 1]}…" if cut else message
