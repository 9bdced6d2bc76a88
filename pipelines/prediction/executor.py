"""Executor of the Predict node: an archive to files in its output, and a report on the rejects."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from components.gate.artifact import publish
from components.gate.report import JSON, GateReport
from components.ingest.records.summary import GATE, few_rejects
from components.node.executor import Artifacts, BeamNodeExecutor
from pipelines.prediction.config import PredictionConfig
from pipelines.prediction.run import (
    FOLDER_PROPERTY,
    Predicted,
    folder_of,
    plan_run,
    predict_archive,
)

#: File in the artifact's folder with the folder of the predictions and their number.
POINTER_FILE = "predictions.json"


class Executor(BeamNodeExecutor):
    """Reads `config` and `model_base`; fills `predictions` and `report`.

    The predictions go to the configured output, where an attempt continues what an earlier one
    left; the artifact names their folder.
    """

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Predicts the archive and publishes the report.

        Raises:
            ConfigError: the model does not fit the source.
            DataError: the model or the source cannot be read.
        """
        config = PredictionConfig.model_validate_json(properties["config"])
        plan = plan_run(config, properties["model_base"])
        done = predict_archive(plan, folder_of(plan), self._make_beam_pipeline)
        pointer = {**asdict(done), "source_state": properties["fingerprint"]}
        folder = outputs.uri("predictions")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, POINTER_FILE), "w", encoding="utf-8") as file:
            json.dump(pointer, file, indent=1)
        outputs["predictions"].set_string_custom_property(FOLDER_PROPERTY, done.folder)
        publish(judge(done, config.max_reject_fraction), outputs["report"])


def judge(done: Predicted, max_reject_fraction: float) -> GateReport:
    """Judges the rejects of a run."""
    finding = few_rejects(done.summary, max_reject_fraction)
    facts: dict[str, JSON] = {
        "predictions": done.predictions,
        "folder": done.folder,
        "rejects": dict(done.rejects),
    }
    return GateReport(GATE, (finding,), facts)
