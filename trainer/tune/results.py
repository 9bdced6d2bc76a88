"""Results of a search: ranked rows of trials, and their files."""

import csv
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

JSON_FILE = "trials.json"
CSV_FILE = "trials.csv"
PICTURE_FILE = "trials.png"

_COMPLETED = "completed"
_COLUMNS = ("rank", "trial", "status", "objective", "epochs", "best_epoch", "seconds", "message")


@dataclass(frozen=True)
class TrialRow:
    """One trial.

    Attributes:
        status: `completed`, `failed`, or `running` if the search ended first.
        objective: objective of the best epoch, or None.
        values: values of the trial, by dotted path.
        epochs, seconds: length of this trial; a continued trial of Hyperband counts from there.
        rank: from 1; None without an objective.
    """

    trial: str
    status: str
    objective: float | None
    values: dict[str, Any]
    epochs: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    message: str = ""
    rank: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns a plain value."""
        return asdict(self)


@dataclass(frozen=True)
class Results:
    """All trials of a search, the best first, those without an objective last."""

    algorithm: str
    objective: str
    direction: str
    rows: tuple[TrialRow, ...] = field(default=())

    @property
    def completed(self) -> tuple[TrialRow, ...]:
        """The ranked trials."""
        return tuple(row for row in self.rows if row.rank is not None)

    @property
    def paths(self) -> tuple[str, ...]:
        """The searched fields."""
        return tuple(dict.fromkeys(path for row in self.rows for path in row.values))

    def to_json(self) -> str:
        """Returns a text that `from_json` reads."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Results":
        """Returns the results that `to_json` wrote."""
        tree = json.loads(text)
        return cls(**{**tree, "rows": tuple(TrialRow(**row) for row in tree["rows"])})


def ranked(rows: Iterable[TrialRow], direction: str) -> tuple[TrialRow, ...]:
    """Sorts and ranks the rows; equally good ones keep the order in which they began."""
    rows = list(rows)
    good = [row for row in rows if row.status == _COMPLETED and row.objective is not None]
    sign = -1 if direction == "max" else 1
    good.sort(key=lambda row: sign * (row.objective or 0.0))
    others = [replace(row, rank=None) for row in rows if row not in good]
    return (*(replace(row, rank=rank) for rank, row in enumerate(good, start=1)), *others)


def write_results(results: Results, folder: str) -> None:
    """Writes the trials as JSON and as CSV, with a column for each searched field."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, JSON_FILE), "w", encoding="utf-8") as file:
        file.write(results.to_json())
    with open(os.path.join(folder, CSV_FILE), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*_COLUMNS[:-1], *results.paths, _COLUMNS[-1]])
        for row in results.rows:
            own = [_cell(getattr(row, name)) for name in _COLUMNS]
            values = [_cell(row.values.get(path)) for path in results.paths]
            writer.writerow([*own[:-1], *values, own[-1]])


def read_results(folder: str) -> Results:
    """Reads the results that `write_results` wrote to a folder."""
    with open(os.path.join(folder, JSON_FILE), encoding="utf-8") as file:
        return Results.from_json(file.read())


def shown(value: Any) -> str:
    """Formats a value for a table: numbers to four digits, lists and mappings as JSON."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)


def _cell(value: Any) -> Any:
    plain = value is None or (isinstance(value, int | float | str) and not isinstance(value, bool))
    return value if plain else json.dumps(value)
