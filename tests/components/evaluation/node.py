"""The Evaluation node's executor, run on real models and examples in a folder."""

from pathlib import Path
from typing import Any

from tfx.types import standard_artifacts

from components.evaluation.config import EvaluationConfig
from components.evaluation.executor import Executor
from components.evaluation.result import EvaluationResult
from components.gate.artifact import Baseline, PublishedReport, read_report
from components.gate.report import GateReport
from components.node.beam import make_pipeline
from pipelines.config.beam import IN_PROCESS
from tests.components.models import write_split


def artifact(kind: Any, folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    made = kind()
    made.uri = str(folder)
    return made


class Node:
    """The executor with artifacts in a folder."""

    def __init__(self, folder: Path, examples: list[bytes]) -> None:
        self.folder = folder
        write_split(folder / "examples", "test", examples)
        write_split(folder / "examples", "train", [b"never read"])
        self.baseline: Path | None = None

    def run(self, model: Path, **config: Any) -> tuple[EvaluationResult, GateReport, str]:
        inputs = {
            "examples": [artifact(standard_artifacts.Examples, self.folder / "examples")],
            "model": [artifact(standard_artifacts.Model, model)],
            "baseline": [self._baseline_artifact()],
        }
        outputs = {
            "evaluation": [artifact(standard_artifacts.ModelEvaluation, self.folder / "eval")],
            "report": [artifact(PublishedReport, self.folder / "report")],
        }
        properties = {"config": EvaluationConfig.model_validate(config).model_dump_json()}
        context = Executor.Context(make_beam_pipeline_fn=lambda: make_pipeline(IN_PROCESS))
        Executor(context).Do(inputs, outputs, properties)
        metrics = (self.folder / "eval" / "metrics.json").read_text()
        report = read_report(outputs["report"][0])
        assert outputs["report"][0].passed == int(report.passed)
        return EvaluationResult.from_json(metrics), report, str(self.folder / "eval")

    def _baseline_artifact(self) -> Baseline:
        made = artifact(Baseline, self.folder / "baseline")
        made.served_version = 7 if self.baseline else -1
        if self.baseline:
            (self.folder / "baseline" / "version").symlink_to(self.baseline)
        else:
            (self.folder / "baseline" / "none.json").write_text("{}")
        return made
