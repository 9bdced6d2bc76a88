"""The Push node's executor on real artifacts: versions, provenance, refusals."""

import errno
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import tensorflow_data_validation as tfdv
from click.testing import CliRunner
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.types import standard_artifacts

from components.baseline.config import BaselineConfig
from components.baseline.executor import Executor as BaselineExecutor
from components.data_check.executor import BASELINE_STATISTICS
from components.evaluation.result import EvaluationResult, SliceMetrics
from components.gate.artifact import Baseline, PublishedReport, publish
from components.gate.baseline import baseline_dir
from components.gate.report import Finding, GateFailed, GateReport
from components.push.card.card import ModelCard
from components.push.card.config import About, CardConfig
from components.push.config import PushConfig
from components.push.executor import Executor
from components.raster.errors import DataError
from pipelines.cli.versions import command as versions_command
from serving.store import versions
from serving.store.digest import model_digest
from serving.store.versions import PushError, StaleBaselineError, list_versions
from tests.components.models import save_model

CLASSES = ("dark", "light")
STATISTICS = statistics_pb2.DatasetFeatureStatisticsList(
    datasets=[statistics_pb2.DatasetFeatureStatistics(name="train", num_examples=42)]
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two Model artifacts' folders whose models differ."""
    root = tmp_path_factory.mktemp("models")
    for index in range(2):
        save_model(root / str(index) / "Format-Serving", CLASSES, shift=0.01 * index)
    return [root / "0", root / "1"]


def artifact(kind: Any, folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    made = kind()
    made.uri = str(folder)
    return made


class Run:
    """The artifacts of one run, up to the push."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder, self.base = folder, base
        self.baseline = artifact(Baseline, folder / "baseline")
        config = BaselineConfig().model_dump_json()
        properties = {"config": config, "model_base": str(base), "nonce": "run-7"}
        BaselineExecutor().Do({}, {"baseline": [self.baseline]}, properties)
        overall = SliceMetrics((), {"example_count": 50.0, "accuracy": 0.9})
        evaluation = EvaluationResult("test", CLASSES, None, None, (overall,))
        self._write("evaluation/metrics.json", evaluation.to_json().encode())
        self._write("statistics/Split-train/FeatureStats.pb", STATISTICS.SerializeToString())
        self._write("statistics/Split-test/FeatureStats.pb", b"")
        self._write("schema/schema.pbtxt", b'feature { name: "label" }\n')

    def push(
        self,
        model: Path,
        keep: int = 3,
        report: GateReport | None = None,
        endpoint: str = "",
    ) -> Any:
        report = report or GateReport("evaluation")
        published = artifact(PublishedReport, self.folder / "report")
        publish(report, published)
        kinds = {
            "evaluation": standard_artifacts.ModelEvaluation,
            "statistics": standard_artifacts.ExampleStatistics,
            "schema": standard_artifacts.Schema,
        }
        inputs = {name: [artifact(kind, self.folder / name)] for name, kind in kinds.items()}
        inputs["model"] = [artifact(standard_artifacts.Model, model)]
        inputs["baseline"] = [self.baseline]
        inputs["evaluation_report"] = [published]
        pushed = artifact(standard_artifacts.PushedModel, self.folder / "pushed")
        properties = {
            "config": PushConfig(model_dir=str(self.base.parent), keep=keep).model_dump_json(),
            "model_base": str(self.base),
            "endpoint": endpoint,
            "fingerprint": "f00d",
            "about": About(terms=CardConfig(licence="CC0-1.0")).model_dump_json(),
        }
        context = Executor.Context(pipeline_run_id="run-7")
        Executor(context).Do(inputs, {"pushed": [pushed]}, properties)
        return pushed

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def numbers(base: Path) -> list[int]:
    return [version.number for version in list_versions(base)]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "models" / "landcover"


def test_a_push_makes_the_next_version_and_says_where(
    tmp_path: Path, base: Path, models: list[Path]
) -> None:
    first = Run(tmp_path / "first", base).push(models[0])
    second = Run(tmp_path / "second", base).push(models[1])
    assert numbers(base) == [1, 2]
    assert first.get_int_custom_property("pushed_version") == 1
    assert second.get_int_custom_property("pushed_version") == 2
    assert second.get_int_custom_property("pushed") == 1
    assert json.loads((tmp_path / "second/pushed/pushed.json").read_text()) == {
        "model_version": 2,
        "is_new": True,
        "destination": str(base / "2"),
    }
    assert model_digest(base / "2") == model_digest(models[1] / "Format-Serving")


def test_a_version_that_servers_see_is_recorded_also_when_the_push_failed_after_it(
    tmp_path: Path, base: Path, models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt_disk(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(versions, "_retire", spoilt_disk)
    pushed = Run(tmp_path / "first", base).push(models[0])
    assert numbers(base) == [1]
    assert pushed.get_int_custom_property("pushed_version") == 1
    assert pushed.get_int_custom_property("pushed") == 1
    warning = pushed.get_string_custom_property("warning")
    assert warning.startswith(f"Version 1 is published in {base}")
    assert "Input/output error" in warning
    assert json.loads((tmp_path / "first/pushed/pushed.json").read_text())["warning"] == warning


def test_provenance_is_complete(tmp_path: Path, base: Path, models: list[Path]) -> None:
    Run(tmp_path / "first", base).push(models[0])
    Run(tmp_path / "second", base).push(models[1])
    folder = base / "2" / "provenance"
    found = json.loads((folder / "provenance.json").read_text())
    pushed_at = datetime.fromisoformat(found.pop("pushed_at"))
    assert pushed_at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - pushed_at) < timedelta(minutes=5)
    assert found["run_id"] == "run-7"
    assert found["data_fingerprint"] == "f00d"
    assert found["baseline_version"] == 1
    assert found["model_sha256"] == model_digest(base / "2")
    assert found["metrics"]["accuracy"] == 0.9
    assert found["metrics"]["examples"] == 50
    assert found["gates"] == {"evaluation": True}
    assert set(found["code"]) == {"package", "commit"}
    assert all(re.match(r"\d+\.\d+", v) for v in found["frameworks"].values())
    assert {"python", "tensorflow", "keras", "tfx"} <= set(found["frameworks"])
    assert found["artifacts"]["model"] == str(models[1])
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert files == {
        "provenance.json",
        "metrics.json",
        "schema.pbtxt",
        "contract.json",
        "Split-train/FeatureStats.pb",
        "Split-test/FeatureStats.pb",
        "reports/evaluation.json",
        "model_card.json",
        "model_card.html",
        "stac_item.json",
    }
    assert json.loads((folder / "contract.json").read_text())["classes"] == list(CLASSES)
    card = ModelCard.from_json((folder / "model_card.json").read_bytes(), "the card")
    assert card.metrics.overall.value == 0.9
    assert card.terms.licence == "CC0-1.0"


def test_a_changed_file_of_the_provenance_is_reported_when_a_version_is_shown(
    tmp_path: Path, base: Path, models: list[Path]
) -> None:
    Run(tmp_path / "first", base).push(models[0])
    show = ["show", "1", "--model-base", str(base)]
    shown = CliRunner().invoke(versions_command, show)
    assert shown.exit_code == 0
    assert "accuracy 0.900, measured on 50 examples" in shown.output
    assert "licence: CC0-1.0" in shown.output
    metrics = base / "1" / "provenance" / "metrics.json"
    metrics.write_text(metrics.read_text().replace("0.9", "0.99"))
    shown = CliRunner().invoke(versions_command, show)
    assert isinstance(shown.exception, DataError)
    assert "metrics.json changed after the push" in str(shown.exception)
    card = metrics.with_name("model_card.json")
    card.write_text(card.read_text().replace("CC0-1.0", "MIT"))
    shown = CliRunner().invoke(versions_command, show)
    assert isinstance(shown.exception, DataError)
    assert "model_card.json" in str(shown.exception)
    listed = CliRunner().invoke(versions_command, ["list", "--model-base", str(base)])
    assert listed.output.startswith("1  20")


@pytest.mark.parametrize(
    ("changed", "what"),
    [("provenance/provenance.json", "provenance.json"), ("saved_model.pb", "the model itself")],
)
def test_a_changed_model_or_provenance_is_reported_when_a_version_is_shown(
    changed: str, what: str, tmp_path: Path, base: Path, models: list[Path]
) -> None:
    Run(tmp_path / "first", base).push(models[0])
    path = base / "1" / changed
    content = path.read_bytes()
    path.write_bytes(content.replace(b"run-7", b"run-8") if what in changed else content + b"x")
    shown = CliRunner().invoke(versions_command, ["show", "1", "--model-base", str(base)])
    assert isinstance(shown.exception, DataError)
    assert f"version 1: {what} changed after the push" in str(shown.exception)


def test_the_next_runs_drift_check_finds_the_statistics_of_the_served_version(
    tmp_path: Path, base: Path, models: list[Path]
) -> None:
    Run(tmp_path / "first", base).push(models[0])
    served = baseline_dir(Run(tmp_path / "second", base).baseline.uri)
    assert served is not None
    assert tfdv.load_stats_binary(str(served / BASELINE_STATISTICS)) == STATISTICS


def test_the_same_model_is_not_pushed_twice(tmp_path: Path, base: Path, models: list[Path]) -> None:
    Run(tmp_path / "first", base).push(models[0])
    again = Run(tmp_path / "second", base).push(models[0])
    assert numbers(base) == [1]
    assert again.get_int_custom_property("pushed_version") == 1
    assert again.get_int_custom_property("pushed") == 0


def test_a_model_that_was_served_before_is_pushed_anew(
    tmp_path: Path, base: Path, models: list[Path]
) -> None:
    for name, model in zip("abc", (models[0], models[1], models[0]), strict=True):
        Run(tmp_path / name, base).push(model)
    assert numbers(base) == [1, 2, 3]


def test_a_push_against_a_baseline_that_is_no_longer_served_is_refused(
    tmp_path: Path, base: Path, models: list[Path]
) -> None:
    late = Run(tmp_path / "late", base)
    Run(tmp_path / "quick", base).push(models[0])
    with pytest.raises(StaleBaselineError, match="no version, but version 1"):
        late.push(models[1])
    with pytest.raises(StaleBaselineError):
        late.push(models[0])  # not even the same content: it was not compared
    assert numbers(base) == [1]


def test_two_pushes_in_the_same_moment_are_one_push_and_one_refusal(
    tmp_path: Path, base: Path, models: list[Path]
) -> None:
    """Both were compared with nothing, so only one of them may follow it."""
    runs = [Run(tmp_path / name, base) for name in "ab"]

    def push(index: int) -> int | None:
        try:
            pushed = runs[index].push(models[index])
        except StaleBaselineError:
            return None
        return int(pushed.get_int_custom_property("pushed_version"))

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(push, range(2)))
    assert sorted(outcomes, key=str) == [1, None]
    assert numbers(base) == [1]


def test_two_pushes_in_quick_succession_get_two_versions(
    tmp_path: Path, base: Path, models: list[Path]
) -> None:
    for name, model in (("a", models[0]), ("b", models[1])):
        Run(tmp_path / name, base).push(model)
    first, second = (
        json.loads((base / n / "provenance" / "provenance.json").read_text())["pushed_at"]
        for n in "12"
    )
    assert datetime.fromisoformat(second) - datetime.fromisoformat(first) < timedelta(seconds=5)
    assert numbers(base) == [1, 2]


def test_old_versions_go_and_the_served_one_stays(
    tmp_path: Path, base: Path, models: list[Path]
) -> None:
    for name, model in zip("abcd", models * 2, strict=True):
        Run(tmp_path / name, base).push(model, keep=1)
    assert numbers(base) == [3, 4]
    Run(tmp_path / "e", base).push(models[0], keep=0)
    assert numbers(base) == [4, 5], "the version served until now is kept whatever keep says"


def test_a_failed_report_refuses_the_push_even_without_a_stop_node(
    tmp_path: Path, base: Path, models: list[Path]
) -> None:
    finding = Finding("evaluation", "accuracy >= 0.8", False, "overall", "it is 0.4")
    with pytest.raises(GateFailed, match=re.escape("accuracy >= 0.8")):
        Run(tmp_path / "run", base).push(models[0], report=GateReport("evaluation", (finding,)))
    assert numbers(base) == []


def test_a_server_that_cannot_be_asked_refuses_the_push(
    tmp_path: Path, base: Path, models: list[Path]
) -> None:
    with pytest.raises(PushError, match="does not report which version"):
        Run(tmp_path / "run", base).push(models[0], endpoint="http://127.0.0.1:9")
    assert numbers(base) == []
