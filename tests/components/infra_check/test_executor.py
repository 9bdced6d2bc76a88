"""The InfraCheck node's executor: a real server subprocess, asked over real sockets."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from components.gate.artifact import PublishedReport, read_report
from components.gate.report import GateReport
from components.infra_check.check import check_model
from components.infra_check.config import InfraCheckConfig
from components.infra_check.executor import Executor
from serving.graph.warmup import WARMUP_PATH
from serving.store.digest import model_digest
from tests.components.models import BrightnessModel, example, image_bytes, save_model, write_split

CLASSES = ("dark", "middle", "light")
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)


def artifact(kind: Any, folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    made = kind()
    made.uri = str(folder)
    return made


def run(folder: Path, **config: Any) -> tuple[GateReport, Path]:
    """The executor on `folder/model`; its report and the folder that it checked."""
    write_split(folder / "examples", "test", [example(level, "dark") for level in LEVELS])
    outputs = {
        "checked": [artifact(standard_artifacts.Model, folder / "checked")],
        "report": [artifact(PublishedReport, folder / "report")],
    }
    inputs = {
        "model": [artifact(standard_artifacts.Model, folder / "model")],
        "examples": [artifact(standard_artifacts.Examples, folder / "examples")],
    }
    properties = {"config": InfraCheckConfig(**config).model_dump_json()}
    Executor().Do(inputs, outputs, properties)
    return read_report(outputs["report"][0]), folder / "checked" / "Format-Serving"


def test_a_sound_model_passes_over_both_protocols_with_both_signatures(tmp_path: Path) -> None:
    trained = save_model(tmp_path / "model" / "Format-Serving", CLASSES)
    before = model_digest(trained)
    report, checked = run(tmp_path, warmup_requests=2)
    assert report.passed, report.to_json()
    assert [(f.rule.split()[0], f.subject) for f in report.findings[1:]] == [
        ("gRPC", "serving_default"),
        ("gRPC", "serving_examples"),
        ("REST", "serving_default"),
        ("REST", "serving_examples"),
    ]
    assert report.facts == {"examples": len(LEVELS)}
    assert sum(1 for _ in tf.data.TFRecordDataset(str(checked / WARMUP_PATH))) == 2
    assert model_digest(trained) == before, "the trainer's own output is left alone"
    (checked / WARMUP_PATH).unlink()
    assert model_digest(checked) == before


@pytest.mark.slow
def test_a_corrupted_checkpoint_blocks_with_the_servers_reason(tmp_path: Path) -> None:
    trained = save_model(tmp_path / "model" / "Format-Serving", CLASSES)
    (data,) = (trained / "variables").glob("variables.data-*")
    data.write_bytes(data.read_bytes()[:3])
    report, _ = run(tmp_path)
    assert {finding.subject for finding in report.failed} == {"model", "server"}
    assert "The server refuses the model" in report.failed[-1].detail


class VocabularyModel(BrightnessModel):
    """A model whose graph reads a file."""

    def __init__(self, vocabulary: Path) -> None:
        super().__init__(CLASSES)
        self.asset = tf.saved_model.Asset(str(vocabulary))
        initializer = tf.lookup.TextFileInitializer(
            self.asset,
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        self.table = tf.lookup.StaticVocabularyTable(initializer, 1)

    def answer(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        answers = super().answer(encoded)
        known = self.table.lookup(answers["class"])
        return {
            **answers,
            "probabilities": answers["probabilities"] + 0.0 * tf.cast(known[:, None], tf.float32),
        }


@pytest.mark.slow
def test_a_graph_that_needs_a_file_which_is_gone_blocks(tmp_path: Path) -> None:
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("\n".join(CLASSES))
    model, folder = VocabularyModel(vocabulary), tmp_path / "model" / "Format-Serving"
    signatures = {"serving_default": model.from_bytes, "serving_examples": model.from_examples}
    tf.saved_model.save(model, str(folder), signatures=signatures)
    shutil.rmtree(folder / "assets")
    report, _ = run(tmp_path)
    assert {finding.subject for finding in report.failed} == {"model", "server"}
    assert "vocabulary.txt" in report.failed[-1].detail


@pytest.mark.slow
def test_answers_that_differ_from_the_trained_model_block(tmp_path: Path) -> None:
    """Like a half-copied or mixed-up folder: it loads, and answers something else."""
    trained = save_model(tmp_path / "trained", CLASSES)
    served = save_model(tmp_path / "served", CLASSES, shift=0.05)
    images = [image_bytes(level) for level in LEVELS]
    examples = [example(level, "dark") for level in LEVELS]
    report = check_model(served, trained, images, examples, InfraCheckConfig())
    assert len(report.failed) == 4
    assert "a probability differs by" in report.failed[0].detail
    assert "The end of the server's log" in report.failed[0].detail
    loose = InfraCheckConfig(tolerance=1.0)
    assert check_model(served, trained, images, examples, loose).passed


@pytest.mark.slow
def test_an_image_that_the_model_fails_on_blocks(tmp_path: Path) -> None:
    trained = save_model(tmp_path / "trained", CLASSES)
    report = check_model(
        trained, trained, [b"no image"], [example(0.5, "dark")], InfraCheckConfig()
    )
    assert [finding.subject for finding in report.failed] == ["model"]


def test_a_server_that_is_not_up_in_time_blocks(tmp_path: Path) -> None:
    save_model(tmp_path / "model" / "Format-Serving", CLASSES)
    report, _ = run(tmp_path, load_timeout_s=0.1)
    assert [finding.subject for finding in report.failed] == ["server"]
    assert "too long" in report.failed[0].detail
    assert "load_timeout_s" in report.failed[0].detail


def test_without_examples_nothing_can_be_said_and_it_blocks(tmp_path: Path) -> None:
    save_model(tmp_path / "model" / "Format-Serving", CLASSES)
    report, _ = run(tmp_path, split="holdout")
    assert [finding.rule for finding in report.failed] == ["examples to send"]
