"""The page of a run: its content, and things that it must never do."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from components.evaluation.decisions import Decision
from components.evaluation.result import EvaluationResult, SliceMetrics
from components.evaluation.tasks.calibration import ReliabilityBin
from components.gate.report import Finding, GateReport
from pipelines.page.charts.places import ScoredPlace
from pipelines.page.content import Content, counts_of, read_curve
from pipelines.page.curves import panels_of, write_curve_png
from pipelines.page.evidence import ClassCurve, ExampleGroup, PageEvidence, ShownExample, Thumbnail
from pipelines.page.predicted import MOST_PLACES
from pipelines.page.render import run_page

CURVE = (
    {"epoch": 1, "loss": 1.5, "val_loss": 1.4, "accuracy": 0.4, "learning_rate": 0.1},
    {"epoch": 2, "loss": 0.5, "val_loss": 0.7, "accuracy": 0.8, "learning_rate": 0.05},
)
EVALUATION = EvaluationResult(
    split="test",
    classes=("field", "<b>roof"),
    baseline_classes=("field", "<b>roof"),
    baseline_version=7,
    slices=(
        SliceMetrics((), {"accuracy": 0.75, "recall/field": 1.0}, {"accuracy": 0.5}),
        SliceMetrics((("region", "north"),), {"accuracy": float("nan")}),
    ),
    confusion_classes=("field", "<b>roof"),
    confusion=((30, 10), (0, 4000)),
    reliability={"candidate": (ReliabilityBin(0.6, 0.7, 10, 0.65, 0.9),)},
)


class Page(HTMLParser):
    """A page's texts and tags, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.texts: list[str] = []
        self.open: list[bool] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "details":
            self.open.append("open" in dict(attrs))
        self.sources += [
            value for name, value in attrs if name in ("src", "href") and value[0] != "#"
        ]

    def handle_data(self, data):
        self.texts.append(data.strip())


def evidence(**changes) -> PageEvidence:
    picture = Thumbnail("image", "data:image/webp;base64,UklGRg==")
    wrong = ShownExample("x<script>.jpg", (picture,), "field", "<b>roof", 0.97, 0.0)
    known = {
        "groups": (ExampleGroup("Worst mistakes", "", (wrong,)),),
        "places": (ScoredPlace(9.0, 48.0, 1.0), ScoredPlace(9.1, 48.1, 0.0)),
        "place_count": 2,
    }
    return PageEvidence(**(known | changes))


def content(**changes) -> Content:
    bad = Finding("evaluation", "accuracy >= 0.9", False, "overall", "accuracy is 0.75")
    known = {
        "title": "land <script>cover",
        "facts": {"data": "abc"},
        "images": {"train": 120, "test": 30},
        "rejects": {"corrupt": 2},
        "curve": CURVE,
        "gates": (GateReport("evaluation", (bad,), {}),),
        "evaluation": EVALUATION,
        "geojson": b"{}",
    }
    return Content(**(known | changes))


def test_a_page_says_what_went_in_and_what_came_out() -> None:
    page = Page(run_page(content()))
    for text in ("120", "rejected: corrupt", "0.750", "(0.500)", "region=", "north", "–", "4000"):
        assert text in page.texts, text
    assert "accuracy is 0.75" in page.texts
    assert "recall/field" not in page.texts, "the table of slices has what every slice has"
    titles = ("Loss", "Learning rate", "Accuracy by slice", "Recall by class", "Reliability")
    assert all(title in page.texts for title in titles)
    assert page.tags.count("svg") == len(titles)


def test_the_artifacts_have_the_commands_for_training_and_lineage() -> None:
    """RunPage does not know the run's id, and its page has no command for it."""
    known = {"log_dir": "model_run/logs", "places": {"model": "artifacts/model"}}
    of_node = Page(run_page(content(**known))).texts
    assert "tensorboard --logdir model_run/logs" in of_node
    assert not any("skymill runs show" in text for text in of_node)
    of_run = Page(run_page(content(**known, facts={"run": "20261129T0900", "data": "abc"}))).texts
    assert "skymill runs show 20261129T0900" in of_run


def test_it_trusts_no_text_and_loads_nothing() -> None:
    text = run_page(content(evidence=evidence()))
    page = Page(text)
    assert not {"script", "b", "link", "iframe"} & set(page.tags)
    assert "<b>roof" in page.texts
    assert "x<script>.jpg" in page.texts
    assert {source.split(",")[0] for source in page.sources} == {
        "data:image/webp;base64",
        "data:application/geo+json;base64",
    }
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_the_unknown_class_is_shown_only_where_it_occurs() -> None:
    names = (*EVALUATION.confusion_classes, "(unknown)")
    for occurs in (0, 3):
        counts = ((30, 10, 0), (0, 4000, 0), (occurs, 0, 0))
        found = replace(EVALUATION, confusion_classes=names, confusion=counts)
        texts = Page(run_page(content(evaluation=found))).texts
        assert ("(unknown)" in texts) is bool(occurs)


def test_corrupted_copies_are_a_curve_and_no_slices_of_the_plot() -> None:
    hazy = tuple(
        SliceMetrics((("corruption", "haze"), ("strength", str(it))), {"accuracy": 0.7 - it / 10})
        for it in (1, 2, 3)
    )
    evaluation = replace(EVALUATION, slices=(*EVALUATION.slices, *hazy))
    text = run_page(content(evaluation=evaluation))
    assert "Robustness" in Page(text).texts
    robustness = text.partition("strength of corruption</title>")[2].partition("</svg>")[0]
    assert robustness.count("<circle") == 4, "without it, and at three strengths"
    slices = text.partition("accuracy by slice</title>")[2].partition("</svg>")[0]
    assert "haze" not in slices


def test_a_gate_is_folded_unless_it_blocked() -> None:
    fine = GateReport("data", (Finding("data", "drift", True, "image/mean_0", "0.01"),), {})
    assert Page(run_page(content(gates=(fine, *content().gates)))).open == [False, True]


def test_a_wrong_answer_is_shown_with_truth_answer_and_confidence() -> None:
    texts = Page(run_page(content(evidence=evidence()))).texts
    for text in ("truth: field", "answer: <b>roof", "confidence 0.97"):
        assert text in texts


def test_a_decision_states_its_threshold_and_cost_or_that_none_meets_it() -> None:
    curve = ClassCurve("field", 9, ((0.5, 0.9), (1.0, 0.6)), ((0.0, 0.5), (1.0, 1.0)), 0.8, 0.8)
    met = Decision("field", "precision", 0.9, 0.89996, 0.9, 0.9, (0.8, 0.95), 0.5, None, 5, 9)
    missed = Decision("<b>roof", "recall", 0.99, None, 0.875, examples=4)
    evaluation = replace(EVALUATION, decisions=(met, missed))
    text = run_page(content(evaluation=evaluation, evidence=evidence(curves=(curve,))))
    texts = Page(text).texts
    assert {"precision 0.9", "0.89996", "(0.800 to 0.950)"} <= set(texts)
    assert "at most 0.875" in texts
    assert text.count('class="hollow s0"') == 1, "a ring on the curve, at the threshold"


def test_a_page_has_at_most_5_mb_whatever_the_data() -> None:
    names = tuple(f"class {index} " + "<x>" * 80 for index in range(1000))
    metrics = {f"recall/{name}": 0.5 for name in names} | {"accuracy": 0.5, "example_count": 9.0}
    slices = (SliceMetrics((), metrics, metrics),)
    slices += tuple(SliceMetrics((("s", f"{i}" * 60),), {"accuracy": 0.5}) for i in range(5000))
    evaluation = EvaluationResult(
        "test", names, names, 7, slices, names, tuple((1,) * 1000 for _ in names)
    )
    findings = tuple(Finding("data", "d", True, f"f{i}", "word " * 900) for i in range(9000))
    places = tuple(ScoredPlace(i * 0.001, i % 90 / 1.0, i % 7 / 6) for i in range(MOST_PLACES))
    curves = tuple(
        ClassCurve(name, 9, ((0.5, 0.5),) * 120, ((0.5, 0.5),) * 120, 0.5, 0.5) for name in names
    )
    drawn = evidence(places=places, place_count=10**6, curves=curves)
    page = run_page(
        content(evaluation=evaluation, gates=[GateReport("data", findings)], evidence=drawn)
    )
    assert len(page.encode()) < 2_000_000, "the rest is for thumbnails and the map's GeoJSON"
    assert "class 0" in page
    assert "8,600 more findings" in page


def test_a_run_that_ended_early_has_a_page_too() -> None:
    page = Page(run_page(content(curve=(), evaluation=None, gates=(), images={}, rejects={})))
    assert "svg" not in page.tags
    assert "Images" in page.texts


def test_what_is_drawn_is_what_both_splits_have() -> None:
    assert panels_of(CURVE) == ("loss", "learning_rate")


def test_the_curve_is_a_picture(tmp_path: Path) -> None:
    write_curve_png(CURVE, str(tmp_path / "curve.png"))
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 2 * picture.height, "two panels side by side"
        assert len(picture.convert("L").getcolors(256)) > 20, "not one colour"


def test_a_history_is_read_whatever_its_metrics(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    rows = [{"epoch": 1, "loss": 2.0, "metrics": {"val_mean_iou": 0.25}, "note": "text"}]
    (tmp_path / "logs" / "history.json").write_text(json.dumps({"epochs": rows}))
    assert read_curve(str(tmp_path)) == ({"epoch": 1.0, "loss": 2.0, "val_mean_iou": 0.25},)
    assert read_curve(str(tmp_path / "elsewhere")) == ()


def test_what_ingest_left_out_is_counted_without_other_files() -> None:
    facts = {
        "images": {"train": 3},
        "rejects": {},
        "ignored": {"(at_border)": 4, ".txt": 9, "(hidden)": 1, "(unused_mask)": 2},
    }
    assert counts_of(GateReport("rejects", (), facts)) == {
        "images": {"train": 3},
        "rejects": {},
        "left_out": {"at_border": 4},
    }
