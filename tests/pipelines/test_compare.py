"""Comparison of two local runs: their differences, and the examples that flipped."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from components.evaluation.predictions import Head, PredictionRow, write_predictions
from components.node.files import PREDICTIONS_FILE
from pipelines.cli.main import cli
from pipelines.local.compare import compare_examples
from pipelines.local.record import Artifact, NodeRecord, RunRecord, write_record


def row(key: str, truth: str, answer: str) -> PredictionRow:
    return PredictionRow(key, truth=truth, answer=answer, score=float(truth == answer))


A = [row("1", "a", "a"), row("2", "a", "b"), row("3", "b", "b"), row("4", "a", "a")]
B = [row("2", "a", "a"), row("3", "b", "a"), row("4", "b", "a"), row("5", "a", "a")]


def run(root: Path, run_id: str, epochs: int, accuracy: float, rows: list[PredictionRow]) -> None:
    folder, evaluation = root / "runs" / run_id, root / f"evaluation-{run_id}"
    evaluation.mkdir(parents=True)
    outputs = {"evaluation": (Artifact("ModelEvaluation", str(evaluation), 1),)}
    node = NodeRecord("Evaluation", "complete", outputs=outputs)
    record = RunRecord(run_id, "land", "2026-11-28T09:00:00+00:00", "succeeded", nodes=(node,))
    write_record(str(folder), record)
    (folder / "config.yaml").write_text(f"train: {{epochs: {epochs}, seed: 1}}\n")
    overall = {
        "features": {},
        "candidate": {"accuracy": accuracy, "accuracy_low": 0.1, "recall/a": 0.5, "images": 12},
        "accuracy_interval": [accuracy - 0.1, accuracy + 0.1],
    }
    summary = {"images": {"train": 10 * epochs}, "metrics": {"slices": [overall]}}
    (folder / "summary.json").write_text(json.dumps(summary))
    write_predictions(evaluation / PREDICTIONS_FILE, Head("single_label", ("a", "b")), rows)


@pytest.fixture
def workspace(tmp_path: Path) -> str:
    run(tmp_path, "20261128T01", 3, 0.75, A)
    run(tmp_path, "20261128T02", 5, 0.5, B)
    return str(tmp_path)


def test_examples_are_matched_by_key_whatever_each_run_has_alone() -> None:
    found = compare_examples(A, B)
    assert (found.only_a, found.only_b, found.other_truth, found.common) == (1, 1, 1, 2)
    assert (found.better, found.worse, found.p_value) == (1, 1, 1.0)
    assert [(it.key, it.a, it.b, it.change) for it in found.flips] == [
        ("2", "b", "a", 1.0),
        ("3", "b", "a", -1.0),
    ]


def test_examples_of_one_group_prove_nothing_by_their_number() -> None:
    a = [PredictionRow(f"{i}", truth="a", answer="b", score=0.0, group="scene") for i in range(9)]
    b = [PredictionRow(f"{i}", truth="a", answer="a", score=1.0, group="scene") for i in range(9)]
    assert compare_examples(a, b).p_value is None
    alone = [PredictionRow(f"{i}", truth="a", answer="b", score=0.0) for i in range(9)]
    assert compare_examples(alone, b).p_value is None
    grouped = [replace(it, group=None) for it in b]
    assert compare_examples(alone, grouped).p_value == pytest.approx(2 / 2**9)


def test_numbers_are_better_where_the_error_falls() -> None:
    errors = [PredictionRow("x", truth="1", answer="3", loss=2.0)]
    assert (
        compare_examples(errors, [PredictionRow("x", truth="1", answer="2", loss=0.5)]).better == 1
    )


def test_the_command_tells_two_runs_apart(workspace: str) -> None:
    call = ["runs", "compare", "20261128T01", "20261128T02", "--workspace", workspace]
    text = CliRunner().invoke(cli, call).output
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "train.epochs 3 5" in lines
    assert "train.seed" not in text
    assert "images.train 30 50" in lines
    assert "accuracy 0.750 0.650 to 0.850 0.500 0.400 to 0.600 -0.250" in lines
    assert "images 12 12 +0.000" in lines
    assert "accuracy_low" not in text
    assert "2 a b a +1.000" in lines

    document = json.loads(CliRunner().invoke(cli, [*call, "--json"]).output)
    assert document["configuration"] == [{"name": "train.epochs", "a": 3, "b": 5}]
    assert document["examples"]["worse"] == 1


def test_dates_of_a_configuration_are_text_in_json(workspace: str) -> None:
    path = Path(workspace, "runs", "20261128T01", "config.yaml")
    path.write_text("train: {epochs: 5, seed: 1}\nsplit: {eval_from: 2026-03-01}\n")
    call = ["runs", "compare", "20261128T01", "20261128T02", "--workspace", workspace, "--json"]
    document = json.loads(CliRunner().invoke(cli, call).output)
    assert document["configuration"] == [{"name": "split.eval_from", "a": "2026-03-01", "b": None}]


def test_a_run_that_ended_early_is_compared_as_far_as_it_came(workspace: str) -> None:
    record = RunRecord("20261128T03", "land", "2026-11-28T10:00:00+00:00", "failed")
    write_record(f"{workspace}/runs/20261128T03", record)
    call = ["runs", "compare", "20261128T01", "20261128T03", "--workspace", workspace]
    text = CliRunner().invoke(cli, call).output
    assert "20261128T03 has no table of predictions" in text
    assert "20261128T03 has no summary.json" in text


@pytest.mark.parametrize("text", ["[]", '{"metrics": {"slices": 3}}', "{", '{"images": "none"}'])
def test_a_damaged_summary_is_named(workspace: str, text: str) -> None:
    Path(workspace, "runs", "20261128T02", "summary.json").write_text(text)
    call = ["runs", "compare", "20261128T01", "20261128T02", "--workspace", workspace]
    found = CliRunner().invoke(cli, call)
    said = f"{found.output}{found.exception}"
    assert "20261128T02/summary.json is not a summary of a run" in said
