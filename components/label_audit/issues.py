"""Label issues as rows, and as the file `label_issues.parquet`.

============== =======================================================================
column         meaning
============== =======================================================================
``key``        the example's key, as ingest writes it
``given``      the label; several classes are joined by ``|``, as in a manifest, with a
               backslash before each ``|`` and backslash within a name
``suggested``  what it might be, in the same form; empty for a spurious object
``confidence`` of the model in what it suggests, 0 to 1
``suspicion``  by which the rows are sorted, the highest first; comparable within a file
``detail``     where in the image, for masks and boxes
============== =======================================================================
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.raster.errors import DataError

ISSUES_FILE = "label_issues.parquet"
#: Joins several classes, as in a manifest.
SEVERAL = "|"


@dataclass(frozen=True)
class LabelIssue:
    """One label that may be wrong; see the columns of the file."""

    key: str
    given: str
    suggested: str
    confidence: float
    suspicion: float
    detail: str = ""


_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("given", pa.string()),
        ("suggested", pa.string()),
        ("confidence", pa.float32()),
        ("suspicion", pa.float32()),
        ("detail", pa.string()),
    ]
)


def by_suspicion(issues: Iterable[LabelIssue]) -> list[LabelIssue]:
    """Sorts issues, the most suspicious first, equal ones by key."""
    return sorted(issues, key=lambda it: (-it.suspicion, it.key, it.detail))


def write_issues(path: Path, issues: Sequence[LabelIssue]) -> None:
    """Writes issues in their order."""
    rows = [asdict(issue) for issue in issues]
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), path, compression="zstd")


def captions(issues: Iterable[LabelIssue], count: int) -> dict[str, str]:
    """Returns a line for each of the first `count` examples, from the first issue of each."""
    lines: dict[str, str] = {}
    for issue in issues:
        if len(lines) == count:
            break
        change = (
            f"{issue.given or 'nothing'} > {issue.suggested or 'nothing'} {issue.confidence:.2f}"
        )
        lines.setdefault(issue.key, f"{change} {issue.detail}".strip())
    return lines


def corrections_csv(issues: Iterable[LabelIssue]) -> str:
    """Returns the suggested labels as a table for `ingest.source.corrections`: one row per example.

    `given` is for the reader; ingest uses only key and label. Issues of masks and boxes, which a
    label cannot correct, are left out.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("key", "label", "given", "confidence"))
    for issue in issues:
        if not issue.detail:
            confidence = f"{issue.confidence:.3f}"
            writer.writerow((issue.key, issue.suggested, issue.given, confidence))
    return text.getvalue()


def read_issues(path: Path) -> list[LabelIssue]:
    """Reads issues in their order; raises DataError for another file."""
    names = [each.name for each in fields(LabelIssue)]
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path}: cannot be read as label issues ({error}). Make it with: skymill labels audit"
        ) from error
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise DataError(f"{path}: is not a file of label issues; it has no column {missing[0]}")
    return [LabelIssue(**row) for row in table.select(names).to_pylist()]
