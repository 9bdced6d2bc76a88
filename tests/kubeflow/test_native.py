"""Outputs for Kubeflow's pages."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from components.evaluation.result import EvaluationResult, SliceMetrics
from components.gate.report import Finding, GateReport
from components.node.files import METRICS_FILE
from pipelines.kubeflow.contract.views import CONFUSION, HTML, METRICS, OutputView, views_of
from pipelines.kubeflow.step.native import confusion_of, make_view, metrics_of
from pipelines.page.render import report_page

EVALUATION = EvaluationResult(
    split="test",
    classes=("field", "roof"),
    baseline_classes=None,
    baseline_version=None,
    slices=(SliceMetrics((), {"accuracy": 0.75, "log_loss": float("nan")}),),
    confusion_classes=("field", "roof"),
    confusion=((2, 1), (0, 1)),
)


def test_metrics_that_are_no_numbers_are_left_out() -> None:
    assert metrics_of(EVALUATION) == {"accuracy": 0.75}


def test_the_confusion_matrix_has_a_row_for_each_true_class() -> None:
    assert confusion_of(EVALUATION) == {
        "confusionMatrix": {
            "annotationSpecs": [{"displayName": "field"}, {"displayName": "roof"}],
            "rows": [{"row": [2, 1]}, {"row": [0, 1]}],
        }
    }


def test_segmentation_has_its_pixels_as_the_matrix_and_detection_has_none() -> None:
    pixels = replace(EVALUATION, task="segmentation", confusion=((900, 100), (50, 450)))
    rows = confusion_of(pixels)["confusionMatrix"]["rows"]
    assert rows == [{"row": [900, 100]}, {"row": [50, 450]}]
    boxes = SliceMetrics((), {"mean_average_precision": 0.5}, None, "detection")
    none = replace(EVALUATION, task="detection", slices=(boxes,), confusion=())
    assert confusion_of(none) == {}
    assert metrics_of(none) == {"mean_average_precision": 0.5}


def test_a_report_is_a_page_that_loads_nothing_and_trusts_no_text(tmp_path: Path) -> None:
    bad = Finding("data", "no <script>", False, "image/format", 'is "bmp" & not jpeg')
    good = Finding("data", "enough", True, "train", "120 images")
    report = GateReport("data", (good, bad), {"images": 120})
    page = report_page(report)
    seen: list[str] = []
    tags: set[str] = set()
    parser = HTMLParser()
    parser.handle_data = seen.append  # type: ignore[method-assign]
    parser.handle_starttag = lambda tag, attrs: tags.add(tag)  # type: ignore[method-assign]
    parser.feed(page)
    assert "script" not in tags
    assert "http:" not in page
    assert "https:" not in page
    assert seen.index("no <script>") < seen.index("enough"), "what failed comes first"
    assert "data: failed" in seen

    (tmp_path / "source").mkdir()
    report.write(tmp_path / "source" / "report.json")
    target = tmp_path / "views" / "report_html"
    assert (
        make_view(OutputView("report_html", HTML, "report"), str(tmp_path / "source"), str(target))
        == {}
    )
    assert target.read_text() == page


def test_views_follow_the_types_of_the_outputs(tmp_path: Path) -> None:
    outputs = {
        "evaluation": "tfx.types.standard_artifacts.ModelEvaluation",
        "report": "components.gate.artifact.PublishedReport",
        "model": "tfx.types.standard_artifacts.Model",
    }
    views = views_of(outputs)
    assert [(view.name, view.schema) for view in views] == [
        ("metrics", METRICS),
        ("confusion_matrix", CONFUSION),
        ("report_html", HTML),
    ]
    (tmp_path / METRICS_FILE).write_text(EVALUATION.to_json())
    assert make_view(views[0], str(tmp_path), "") == {"accuracy": 0.75}
