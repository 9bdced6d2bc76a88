"""Provenance beside a pushed model: its origin, and the evidence by which it passed the gates."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from components.gate.report import GateReport
from components.raster.errors import DataError

PROVENANCE_FILE = "provenance.json"
#: Key in provenance.json of its own digest.
OWN_DIGEST = "own_sha256"

_FRAMEWORKS = (
    "tensorflow",
    "keras",
    "tfx",
    "tensorflow-model-analysis",
    "tensorflow-data-validation",
    "apache-beam",
)


@dataclass(frozen=True)
class CodeVersion:
    """Version of the installed package, and the commit if it runs from a checkout."""

    package: str | None
    commit: str | None


@dataclass(frozen=True)
class Lineage:
    """Origin of a model.

    Attributes:
        run_id: the pipeline run that pushes it.
        data_fingerprint: of the source of its examples.
        span: the span of that source; empty if it has none.
        baseline_version: the version that it was compared with; None for the first one.
        model_sha256: the `serving.store.digest.model_digest` of the pushed model.
        artifacts: URIs of the run's artifacts, by content.
        tuned: the values that a search chose for training, by their paths.
    """

    run_id: str
    data_fingerprint: str
    baseline_version: int | None
    model_sha256: str
    artifacts: Mapping[str, str]
    span: str = ""
    tuned: Mapping[str, object] = field(default_factory=dict)


def provenance_of(
    lineage: Lineage, metrics_json: bytes, reports: Sequence[GateReport]
) -> dict[str, Any]:
    """Returns the origin of a model as plain values.

    Raises DataError for an evaluation without metrics over all examples.
    """
    return {
        **asdict(lineage),
        "pushed_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "code": asdict(code_version()),
        "frameworks": framework_versions(),
        "metrics": overall_metrics(metrics_json),
        "gates": {report.gate: report.passed for report in reports},
    }


def provenance_files(
    provenance: Mapping[str, Any],
    metrics_json: bytes,
    schema: bytes,
    contract: bytes,
    statistics: Mapping[str, bytes],
    reports: Sequence[GateReport],
    card: Mapping[str, bytes],
) -> dict[str, bytes]:
    """Returns the files of a version's `provenance/`, by relative name.

    Args:
        provenance: goes into provenance.json, with the digest of each other file and its own.
        metrics_json, schema, contract: kept as metrics.json, schema.pbtxt and contract.json.
        statistics: FeatureStats.pb by relative name (`Split-train/FeatureStats.pb`).
        reports: the gates' reports, each kept as reports/<gate>.json.
        card: the model card in its forms, by name.
    """
    files = {
        "metrics.json": metrics_json,
        "schema.pbtxt": schema,
        "contract.json": contract,
        **statistics,
        **{f"reports/{report.gate}.json": report.to_json().encode() for report in reports},
        **card,
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    document = {**provenance, "sha256": digests}
    document[OWN_DIGEST] = document_digest(document)
    return {
        PROVENANCE_FILE: (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode(),
        **files,
    }


def document_digest(document: Mapping[str, Any]) -> str:
    """Returns the SHA-256, in hex, of the values of a provenance.json except its own digest.

    >>> document_digest({"a": 1, "b": 2}) == document_digest({"b": 2, "a": 1, OWN_DIGEST: "0"})
    True
    """
    values = {key: value for key, value in document.items() if key != OWN_DIGEST}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def overall_metrics(metrics_json: bytes) -> dict[str, object]:
    """Reads the candidate's metrics over all examples from an evaluation's metrics.json.

    Raises DataError if there are none.
    """
    try:
        slices = json.loads(metrics_json)["slices"]
        (overall,) = (item for item in slices if not item["features"])
        return {
            "examples": overall["examples"],
            **{name: overall[name] for name in overall if name.endswith("_interval")},
            **overall["candidate"],
        }
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"no metrics over all examples to push with ({error!r}): run the evaluation again"
        ) from error


def framework_versions() -> dict[str, str | None]:
    """Returns the versions of Python and of the frameworks that made the model."""
    return {"python": platform.python_version()} | {name: _installed(name) for name in _FRAMEWORKS}


def code_version() -> CodeVersion:
    """Returns the running code's version; `git describe` adds `-dirty` for a changed checkout."""
    return CodeVersion(_installed("skymill"), _commit(Path(__file__).resolve().parents[2]))


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit(root: Path) -> str | None:
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
