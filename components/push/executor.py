"""Executor of the Push node: artifacts of a run that passed its gates -> a new version."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.types import Artifact
from tfx.utils import path_utils

from components.gate.artifact import lasting_uri, read_report
from components.gate.report import GateReport, require_passed
from components.node.executor import Artifacts, NodeExecutor
from components.node.files import METRICS_FILE, SCHEMA_FILE, STATISTICS_FILE
from components.push.config import PushConfig
from components.push.provenance import Lineage, provenance_files
from components.push.push import Pushed, push_candidate
from serving.contract.contract import CONTRACT_PATH, TUNED_PATH
from serving.store.digest import model_digest

_logger = logging.getLogger(__name__)

PUSHED_FILE = "pushed.json"

REPORTS = ("data_report", "evaluation_report", "infra_report", "own_report")


class Executor(NodeExecutor):
    """Reads `config`, `model_base`, `endpoint` and `fingerprint`; fills `pushed`."""

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Raises GateFailed, StaleBaselineError or PushError; nothing is pushed then."""
        config = PushConfig.model_validate_json(properties["config"])
        reports = [read_report(inputs[name]) for name in REPORTS if name in inputs]
        for report in reports:
            require_passed(report)
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
        pushed = push_candidate(
            model_dir,
            model_base,
            baseline_version=lineage.baseline_version,
            provenance=_files(given, model_dir, lineage, reports),
            keep=config.keep,
            endpoint=properties["endpoint"] or None,
        )
        _record(outputs["pushed"], pushed, model_base)


_INPUTS = ("model", "evaluation", "statistics", "schema", "baseline")


def _baseline_version(baseline: Artifact) -> int | None:
    number = int(baseline.served_version)
    return None if number < 0 else number


def _files(
    given: dict[str, Artifact], model_dir: Path, lineage: Lineage, reports: list[GateReport]
) -> dict[str, bytes]:
    statistics = given["statistics"].uri
    paths = sorted(tf.io.gfile.glob(os.path.join(statistics, "Split-*", STATISTICS_FILE)))
    return provenance_files(
        lineage,
        metrics_json=_read(os.path.join(given["evaluation"].uri, METRICS_FILE)),
        schema=_read(os.path.join(given["schema"].uri, SCHEMA_FILE)),
        contract=_read(str(model_dir / CONTRACT_PATH)),
        statistics={os.path.relpath(path, statistics): _read(path) for path in paths},
        reports=reports,
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
