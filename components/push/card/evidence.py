"""Model card from the evidence of a run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.gate.report import GateReport
from components.push.card.card import CardMetrics, Data, GateOutcome, Inputs, Measured, ModelCard
from components.push.card.config import About
from components.push.card.wording import measured_text
from components.raster.errors import DataError
from components.raster.task import WITHOUT_CLASSES
from serving.contract.contract import Contract
from serving.contract.needs import range_text

_WORST = 5
_INTERVAL = "_interval"
_SUPPORT = "support"
#: Numbers among the metrics that the card states elsewhere.
_COUNTS = ("example_count", "group_count")
#: Prefix and suffix of the names of slices of corrupted copies.
_CORRUPTION, _STRONGEST = "corruption=", ",strength=3"
#: Fact of the evaluation's report: sentences on thresholds that the split is too small for.
_TOO_FEW = "too_few_examples"


@dataclass(frozen=True)
class CardEvidence:
    """Results published by the nodes of a run.

    Attributes:
        name: of the model.
        about: from the configuration.
        provenance: the content of `provenance.json`.
        metrics: the content of `metrics.json`.
        contract: of the model.
        reports: of the gates.
        ingest: the report of ingest; None if the push has no such input.
        sensors: of the training examples, the most frequent first.
    """

    name: str
    about: About
    provenance: Mapping[str, Any]
    metrics: Mapping[str, Any]
    contract: Contract
    reports: Sequence[GateReport]
    ingest: GateReport | None = None
    sensors: tuple[str, ...] = ()


def model_card(evidence: CardEvidence) -> ModelCard:
    """Returns the card; raises DataError for an evaluation without metrics over all examples."""
    provenance, contract = evidence.provenance, evidence.contract
    inputs, data = _inputs(contract, evidence.sensors), _data(evidence)
    metrics = _metrics(evidence.metrics, contract)
    gates = tuple(_outcome(report) for report in evidence.reports)
    return ModelCard(
        name=evidence.name,
        made=provenance["pushed_at"],
        task=contract.task,
        run_id=provenance["run_id"],
        model_sha256=provenance["model_sha256"],
        classes=contract.classes,
        architecture=_architecture(evidence),
        pretrained=evidence.about.pretrained,
        terms=evidence.about.terms,
        inputs=inputs,
        data=data,
        metrics=metrics,
        gates=gates,
        limits=(*evidence.about.terms.limits, *_limits(evidence, inputs, data, metrics)),
        environment={
            "skymill": provenance["code"]["package"],
            "commit": provenance["code"]["commit"],
            **provenance["frameworks"],
        },
    )


def _architecture(evidence: CardEvidence) -> str:
    """Returns the network with the values that a search chose, and the size of an ensemble."""
    tuned: Mapping[str, Any] = evidence.provenance["tuned"]
    chosen = [f"{path}={value}" for path, value in tuned.items() if path.startswith("model")]
    ensemble = evidence.contract.ensemble
    several = [] if ensemble is None else [f"an ensemble of {ensemble.members}"]
    return ", ".join([evidence.about.architecture, *chosen, *several])


def _inputs(contract: Contract, sensors: tuple[str, ...]) -> Inputs:
    image, tiles = contract.image, contract.tiles
    return Inputs(
        bands=tuple(map(str, image.bands or ())),
        height_px=image.height_px,
        width_px=image.width_px,
        fit=image.fit,
        values=(image.values or "stored") if image.bands else None,
        tile_height_px=tiles and tiles.height_px,
        tile_width_px=tiles and tiles.width_px,
        gsd_m=tiles and tiles.gsd_m,
        sensors=sensors,
    )


def _data(evidence: CardEvidence) -> Data:
    facts: Mapping[str, Any] = evidence.ingest.facts if evidence.ingest else {}
    return Data(
        fingerprint=evidence.provenance["data_fingerprint"],
        span=evidence.provenance["span"],
        images=facts.get("images", {}),
        classes=facts.get("examples", {}),
        rejects=facts.get("rejects", {}),
        bbox=facts["extent"]["bbox"] if "extent" in facts else None,
        split=evidence.about.split,
        train_to_test_m=facts.get("train_to_test_m"),
    )


def _metrics(document: Mapping[str, Any], contract: Contract) -> CardMetrics:
    items = document["slices"]
    whole = next((item for item in items if not item["features"]), None)
    if whole is None:
        raise DataError("no metrics over all examples for a model card: run the evaluation again")
    headline = next(name for name in whole if name.endswith(_INTERVAL)).removesuffix(_INTERVAL)
    lower_is_better = contract.task in WITHOUT_CLASSES
    overall = _measured(whole, headline, None, lower_is_better)
    slices = [
        _measured(item, headline, overall.value, lower_is_better)
        for item in items
        if item["features"] and item["candidate"].get(headline) is not None
    ]
    corrupted = [it for it in slices if it.slice.startswith(_CORRUPTION)]
    slices = [it for it in slices if it not in corrupted]
    sign = -1 if lower_is_better else 1
    # A slice of one wrong example must not displace one that is known to be worse.
    slices.sort(key=lambda it: (not it.differs, sign * (it.value or 0.0), it.slice))
    elsewhere = {*_COUNTS, f"{headline}_low", f"{headline}_high"}
    values = whole["candidate"]
    per_class: dict[str, dict[str, float | None]] = {name: {} for name in contract.classes}
    for name, value in values.items():
        kind, slash, class_name = name.partition("/")
        if slash and class_name in per_class:
            per_class[class_name][kind] = value
    return CardMetrics(
        split=document["split"],
        headline=headline,
        lower_is_better=lower_is_better,
        overall=overall,
        all={it: value for it, value in values.items() if "/" not in it and it not in elsewhere},
        classes={name: found for name, found in per_class.items() if found},
        worst=tuple(slices[:_WORST]),
        others_worse=sum(it.differs for it in slices[_WORST:]),
        corrupted=tuple(it for it in corrupted if it.slice.endswith(_STRONGEST)),
        baseline_version=document["baseline_version"],
        compared=whole["baseline"] is not None,
    )


def _measured(
    item: Mapping[str, Any],
    headline: str,
    whole: float | None,
    lower_is_better: bool,
) -> Measured:
    interval = item[f"{headline}{_INTERVAL}"]
    drawn, differs = item.get("drawn", {}), False
    if interval is not None and whole is not None:
        differs = interval[0] > whole if lower_is_better else interval[1] < whole
    return Measured(
        slice=item["slice"],
        examples=item["examples"],
        value=item["candidate"].get(headline),
        interval=interval,
        groups=drawn["count"] if drawn.get("by") == "group" else None,
        differs=differs,
    )


def _outcome(report: GateReport) -> GateOutcome:
    allowed = [it for it in report.findings if it.passed and "allowed by" in it.detail]
    return GateOutcome(
        gate=report.gate,
        findings=len(report.findings),
        allowed=tuple(f"{it.rule}: {it.detail}" for it in allowed),
    )


def _limits(
    evidence: CardEvidence, inputs: Inputs, data: Data, metrics: CardMetrics
) -> Iterator[str]:
    """Yields sentences on the limits of the training and the measurement."""
    yield f"{measured_text(metrics, metrics.overall)} Other images may fare worse."
    if metrics.overall.interval is not None and metrics.overall.groups is None:
        yield (
            "The interval takes each example as independent; for images of a new place or scene it "
            "is too narrow."
        )
    for item in metrics.worst:
        if item.differs:
            yield f"Clearly worse on {item.slice}: {measured_text(metrics, item)}"
    if metrics.others_worse:
        yield f"Clearly worse on {metrics.others_worse:,} more slices, which metrics.json has."
    for item in metrics.corrupted:
        if item.differs:
            yield f"Sensitive to {item.slice}: {measured_text(metrics, item)}"
    for report in evidence.reports:
        messages: Any = report.facts.get(_TOO_FEW, ())
        yield from (f"{text}." for text in messages)
    facts: Mapping[str, Any] = evidence.ingest.facts if evidence.ingest else {}
    if untrained := facts.get("classes_without_training_examples"):
        yield f"Never trained on: {', '.join(untrained)}."
    unmeasured = [name for name, it in metrics.classes.items() if it.get(_SUPPORT) == 0]
    if unmeasured:
        yield f"Not measured for lack of examples: {', '.join(unmeasured)}."
    if data.bbox is not None:
        west, south, east, north = data.bbox
        yield (
            f"Learnt and measured between longitudes {west:.2f} and {east:.2f} and latitudes "
            f"{south:.2f} and {north:.2f}; nothing is known of other ground."
        )
    if data.train_to_test_m is not None:
        yield (
            f"The nearest train and test tiles are {data.train_to_test_m:,.0f} m apart; ground "
            "farther from the training data may fare worse than the test split."
        )
    if inputs.gsd_m is not None:
        pixel_m = range_text(inputs.gsd_m)
        yield f"Learnt from pixels of {pixel_m} m on the ground; another scale was not tried."
    if inputs.bands and not inputs.sensors:
        yield "The examples state no sensor; images of another one may fare worse."
    if data.bbox is None:
        yield "The examples state no place, so how far train and test lie apart is unknown."
    if not evidence.about.terms.licence:
        yield "No licence is stated: ask before you use it elsewhere."
