"""Findings of a check, as values and as the file `report.json`."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TypeAlias

from components.raster.errors import DataError, SkymillError
from components.raster.masking import masked_tree
from components.raster.stores.object_store import ObjectMissing
from components.raster.stores.opening import open_object

REPORT_FILE = "report.json"

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"


@dataclass(frozen=True)
class Finding:
    """One rule applied to one subject.

    `gate` is the check, `rule` its requirement, `subject` the feature, metric, slice or reason in
    question, and `detail` a sentence with the value, the bound and the remedy.
    """

    gate: str
    rule: str
    passed: bool
    subject: str
    detail: str


@dataclass(frozen=True)
class GateReport:
    """All findings of one check, with facts (counts, versions) that it recorded.

    A report without findings has passed: nothing was required. A check that could not run must add
    a failed finding, never leave findings out.

    >>> low = Finding("evaluation", "accuracy", False, "overall", "0.81 is below 0.9")
    >>> report = GateReport("evaluation", (low,))
    >>> report.passed
    False
    >>> print(message(report))
    gate 'evaluation' blocked the run: 1 of 1 failed
      evaluation: accuracy: overall: 0.81 is below 0.9
    """

    gate: str
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return all(finding.passed for finding in self.findings)

    @property
    def failed(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.passed)

    def to_json(self) -> str:
        """Returns strict JSON without the secrets in addresses; a non-finite number becomes the
        string "nan", "inf" or "-inf"."""
        document = masked_tree(
            {
                "gate": self.gate,
                "passed": self.passed,
                "findings": [asdict(finding) for finding in self.findings],
                "facts": _finite(dict(self.facts)),
            }
        )
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "GateReport":
        """Parses the text of `to_json`; raises DataError when `text` is not a report."""
        try:
            document = json.loads(text)
            findings = tuple(Finding(**finding) for finding in document["findings"])
            report = cls(str(document["gate"]), findings, document["facts"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"not a gate report ({error!r}): {text[:120]!r}") from error
        if report.passed is not document.get("passed", report.passed):
            raise DataError(f"gate report {report.gate!r} contradicts its own findings")
        return report

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes to a local path or to a URI, atomically."""
        store, name = open_object(os.fspath(path))
        store.write(name, self.to_json().encode())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "GateReport":
        """Reads the report in the file or object `path`; raises DataError if there is none."""
        place = os.fspath(path)
        store, name = open_object(place)
        try:
            text = store.read(name).decode()
        except ObjectMissing as error:
            raise DataError(f"no gate report at {place}: run the check again") from error
        return cls.from_json(text)


class GateFailed(SkymillError):
    """A gate blocked the run; `report` has the reasons and stays readable after the failure."""

    lasting = True

    def __init__(self, report: GateReport) -> None:
        super().__init__(message(report))
        self.report = report


def message(report: GateReport) -> str:
    """Formats one summary line, then one line for every failed finding."""
    failed = report.failed
    if not failed:
        return f"gate {report.gate!r} passed ({len(report.findings)} findings)"
    lines = [
        f"gate {report.gate!r} blocked the run: {len(failed)} of {len(report.findings)} failed"
    ]
    return "\n".join([*lines, *(f"  {line_of(finding)}" for finding in failed)])


def line_of(finding: Finding) -> str:
    """Formats a finding in one line."""
    text = f"{finding.gate}: {finding.rule}: {finding.subject}: {finding.detail}"
    return " ".join(text.split())


def require_passed(report: GateReport) -> None:
    """Raises GateFailed, naming every failed finding, unless the report has passed."""
    if not report.passed:
        raise GateFailed(report)


def _finite(value: JSON) -> JSON:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
