"""Executor of the Push node: artifacts of a run that passed its gates -> a new version."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.types import Artifact
from tfx.utils import path_utils

from components.gate.artifact import lasting_uri, read_report
from components.gate.report import GateReport, require_passed
from components.node.executor import Artifacts, NodeExecutor
from components.node.files import METRICS_FILE, SCHEMA_FILE, STATISTICS_FILE
from components.push.card.config import About
from components.push.card.evidence import CardEvidence, model_card
from components.push.card.files import card_files, sensors_of
from components.push.config import PushConfig
from components.push.provenance import Lineage, provenance_files, provenance_of
from components.push.push import Pushed, push_candidate
from serving.contract.contract import CONTRACT_PATH, TUNED_PATH, Contract
from serving.store.digest import model_digest

_logger = logging.getLogger(__name__)

PUSHED_FILE = "pushed.json"

REPORTS = ("data_report", "evaluation_report", "infra_report", "own_report")


class Executor(NodeExecutor):
    """Reads `config`, `model_base`, `endpoint`, `fingerprint` and `about`; fills `pushed`."""

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Raises GateFailed, StaleBaselineError or PushError, and then pushes nothing."""
        config = PushConfig.model_validate_json(properties["config"])
        reports = [read_report(inputs[name]) for name in REPORTS if name in inputs]
        for report in reports:
            require_passed(report)
        ingest = read_report(inputs["rejects"]) if "rejects" in inputs else None
        given = {name: inputs[name] for name in _INPUTS}
        model_dir = Path(path_utils.serving_model_path(given["model"].uri))
        lineage = Lineage(
            run_id=(self._context and self._context.pipeline_run_id) or "",
            data_fingerprint=properties["fingerprint"],
            span=properties.get("span", ""),
            baseline_version=_baseline_version(given["baseline"]),
            model_sha256=model_digest(model_dir),
            artifacts={name: lasting_uri(artifact) for name, artifact in given.items()},
            tuned=_tuned(model_dir),
        )
        model_base = properties["model_base"]
        about = About.model_validate_json(properties.get("about") or "{}")
        name = model_base.rstrip("/").rpartition("/")[2]
        pushed = push_candidate(
            model_dir,
            model_base,
            baseline_version=lineage.baseline_version,
            provenance=_files(given, model_dir, lineage, reports, Described(name, about, ingest)),
            keep=config.keep,
            endpoint=properties["endpoint"] or None,
        )
        _record(outputs["pushed"], pushed, model_base)


_INPUTS = ("model", "evaluation", "statistics", "schema", "baseline")


@dataclass(frozen=True)
class Described:
    """The model's name, its description in the configuration, and the report of its ingest."""

    name: str
    about: About
    ingest: GateReport | None


def _baseline_version(baseline: Artifact) -> int | None:
    number = int(baseline.served_version)
    return None if number < 0 else number


def _files(
    given: dict[str, Artifact],
    model_dir: Path,
    lineage: Lineage,
    reports: list[GateReport],
    described: "Described",
) -> dict[str, bytes]:
    folder = given["statistics"].uri
    paths = sorted(tf.io.gfile.glob(os.path.join(folder, "Split-*", STATISTICS_FILE)))
    statistics = {os.path.relpath(path, folder): _read(path) for path in paths}
    metrics = _read(os.path.join(given["evaluation"].uri, METRICS_FILE))
    contract = _read(str(model_dir / CONTRACT_PATH))
    provenance = provenance_of(lineage, metrics, reports)
    evidence = CardEvidence(
        name=described.name,
        about=described.about,
        provenance=provenance,
        metrics=json.loads(metrics),
        contract=Contract.model_validate_json(contract),
        reports=reports,
        ingest=described.ingest,
        sensors=sensors_of(statistics),
    )
    return provenance_files(
        provenance,
        metrics_json=metrics,
        schema=_read(os.path.join(given["schema"].uri, SCHEMA_FILE)),
        contract=contract,
        statistics=statistics,
        reports=reports,
        card=card_files(model_card(evidence), evidence.contract),
    )


def _tuned(model_dir: Path) -> dict[str, object]:
    path = model_dir / TUNED_PATH
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _read(path: str) -> bytes:
    with tf.io.gfile.GFile(path, "rb") as file:
        return bytes(file.read())


def _record(artifact: Artifact, pushed: Pushed, model_base: str) -> None:
    """Records the outcome, as properties for the lineage store and as a file."""
    destination = os.path.join(model_base, str(pushed.model_version))
    artifact.set_int_custom_property("pushed_version", pushed.model_version)
    artifact.set_int_custom_property("pushed", int(pushed.is_new))
    artifact.set_string_custom_property("pushed_destination", destination)
    document = {
        "model_version": pushed.model_version,
        "is_new": pushed.is_new,
        "destination": destination,
    }
    if pushed.warning:
        _logger.warning("%s", pushed.warning)
        artifact.set_string_custom_property("warning", pushed.warning)
        document["warning"] = pushed.warning
    tf.io.gfile.makedirs(artifact.uri)
    with tf.io.gfile.GFile(os.path.join(artifact.uri, PUSHED_FILE), "w") as file:
        file.write(json.dumps(document, indent=2) + "\n")
