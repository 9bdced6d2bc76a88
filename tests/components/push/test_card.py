"""The model card: facts and sentences from a run's evidence, its page and its STAC item."""

import json
from dataclasses import replace
from typing import Any

import pystac
import pytest
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from stac_model.schema import MLModelProperties
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.evaluation.result import EvaluationResult, SliceMetrics
from components.gate.report import Finding, GateReport
from components.push.card.card import ModelCard
from components.push.card.config import About, CardConfig
from components.push.card.evidence import CardEvidence, model_card
from components.push.card.files import sensors_of
from components.push.card.page import card_page
from components.push.card.stac import stac_item
from components.push.card.wording import card_text, measured_text
from components.raster.errors import DataError
from components.raster.example import SENSOR
from components.raster.image import ImageSpec
from components.raster.task import TASKS, Task
from serving.contract.contract import Contract
from serving.contract.needs import TrainedTiles
from serving.contract.reliability import Ensemble

CLASSES = ("Annual crop", "water")
TERMS = CardConfig(purpose="Crops <b>&</b> water", licence="CC-BY-4.0", limits=("No snow.",))
CONTRACT = Contract(
    image=ImageSpec(bands=("red", "nir"), height_px=64, width_px=64),
    classes=CLASSES,
    tiles=TrainedTiles((64, 64), (64, 64), (10, 10)),
)


def slice_of(region: str, accuracy: float, examples: int) -> SliceMetrics:
    key = (("region", region),) if region else ()
    return SliceMetrics(
        key,
        {
            "accuracy": accuracy,
            "accuracy_low": accuracy - 0.05,
            "accuracy_high": accuracy + 0.05,
            "example_count": examples,
            "group_count": 12,
            "support/water": 0,
            "log_loss": 0.5,
        },
    )


def evidence(contract: Contract = CONTRACT, bbox: Any = (8.0, 47.0, 9.5, 48.0)) -> CardEvidence:
    slices = (slice_of("", 0.9, 200), slice_of("north", 0.95, 150), slice_of("south", 0.74, 50))
    allowed = Finding("evaluation", "a baseline", True, "baseline", "allowed by 'missing_baseline'")
    ingest = {
        "images": {"train": 700, "eval": 100, "test": 200},
        "examples": {"train": {"Annual crop": 700}},
        "rejects": {"corrupt": 3},
        "classes_without_training_examples": ["water"],
        **({"extent": {"bbox": list(bbox)}, "train_to_test_m": 1250.4} if bbox else {}),
    }
    return CardEvidence(
        name="crops",
        about=About(terms=TERMS, split="by blocks of ground of 1000 m", architecture="small_cnn"),
        provenance={
            "run_id": "run-7",
            "pushed_at": "2026-11-28T12:00:00.000+00:00",
            "model_sha256": "ab" * 32,
            "data_fingerprint": "f00d",
            "span": "",
            "tuned": {"model.dropout": 0.3, "learning_rate": 0.1},
            "code": {"package": "0.1.0", "commit": "abc"},
            "frameworks": {"python": "3.11.7", "tensorflow": "2.21.0"},
        },
        metrics=json.loads(EvaluationResult("test", CLASSES, None, None, slices).to_json()),
        contract=contract,
        reports=(GateReport("evaluation", (allowed,)),),
        ingest=GateReport("rejects", (), ingest),
        sensors=("sentinel-2",),
    )


def test_the_card_is_read_back_as_it_was_written() -> None:
    card = model_card(evidence())
    assert ModelCard.from_json(card.to_json(), "card") == card
    with pytest.raises(DataError, match="version 3 is not a model card"):
        ModelCard.from_json(b"{}", "version 3")


def test_the_slice_that_is_clearly_worse_is_distinguished_from_one_that_may_be_chance() -> None:
    """The interval of the south ends at 0.79, below 0.9 over all examples."""
    worst = model_card(evidence()).metrics.worst
    assert [(it.slice, it.differs) for it in worst] == [
        ("region=south", True),
        ("region=north", False),
    ]


def test_a_served_version_that_could_not_be_measured_is_not_reported_as_compared() -> None:
    given = evidence()
    assert "no earlier version" in card_page(model_card(given))
    failed = replace(given, metrics={**given.metrics, "baseline_version": 4})
    assert "Version 4, which was served before, could not be" in card_page(model_card(failed))
    slices = [{**it, "baseline": {"accuracy": 0.8}} for it in given.metrics["slices"]]
    compared = replace(failed, metrics={**failed.metrics, "slices": slices})
    assert "It was compared with version 4" in card_page(model_card(compared))


def test_sensors_are_those_of_the_train_split() -> None:
    def of(*names: str) -> bytes:
        found = statistics_pb2.DatasetFeatureStatisticsList()
        feature = found.datasets.add().features.add()
        feature.path.step.append(SENSOR)
        for count, name in enumerate(names, start=1):
            feature.string_stats.rank_histogram.buckets.add(label=name, sample_count=count)
        return found.SerializeToString()

    files = {
        "Split-train/FeatureStats.pb": of("landsat", "sentinel-2"),
        "Split-test/FeatureStats.pb": of("planet"),
    }
    assert sensors_of(files) == ("sentinel-2", "landsat")


def test_limits_say_what_was_not_learnt_and_on_how_much_the_metrics_rest() -> None:
    text = card_text(model_card(evidence()), 7)
    for message in (
        "No snow.",
        "0.900, measured on 200 examples of test, from 12 groups; 95 % interval 0.850 to 0.950.",
        "Clearly worse on region=south: accuracy 0.740",
        "Never trained on: water.",
        "Not measured for lack of examples: water.",
        "between longitudes 8.00 and 9.50 and latitudes 47.00 and 48.00",
        "nearest train and test tiles: 1,250 m",
        "pixels of 10 m",
        "from sentinel-2",
        "small_cnn",
    ):
        assert message in text
    assert "No licence" not in text
    assert model_card(evidence()).architecture == "small_cnn, model.dropout=0.3"
    ensemble = Ensemble(members=3, disagreement="mutual_information")
    several = model_card(evidence(CONTRACT.model_copy(update={"ensemble": ensemble})))
    network = "small_cnn, model.dropout=0.3, an ensemble of 3"
    assert f"network: {network}" in card_text(several, 7).splitlines()
    assert f"<dd>{network}</dd>" in card_page(several)
    assert model_card(evidence()).gates[0].allowed == ("a baseline: allowed by 'missing_baseline'",)


def test_the_page_escapes_every_text_and_has_no_script() -> None:
    page = card_page(model_card(evidence()))
    assert "Crops &lt;b&gt;&amp;&lt;/b&gt; water" in page
    assert "<script" not in page
    assert "prefers-color-scheme:dark" in page


@pytest.mark.parametrize("task", TASKS)
def test_the_item_is_one_of_the_machine_learning_model_extension(task: Task) -> None:
    """The schema of STAC 1.1 and the extension's own models accept it; pystac reads it back."""
    contract = Contract(task=task, image=CONTRACT.image, classes=CLASSES)
    document = stac_item(model_card(evidence(contract)), contract)
    JsonSchemaSTACValidator().validate_core(document, pystac.STACObjectType.ITEM, "1.1.0")
    item = pystac.Item.from_dict(document)
    properties = MLModelProperties.model_validate(item.properties)
    assert list(properties.input[0].bands or ()) == ["red", "nir"]
    assert properties.input[0].input.shape == [-1, 64, 64, 2]
    assert properties.output
    assert item.bbox == [8.0, 47.0, 9.5, 48.0]
    assert item.assets["model"].roles == ["mlm:model"]
    assert item.assets["model"].extra_fields["mlm:artifact_type"]
    assert item.properties["license"] == "CC-BY-4.0"
    assert item.properties["mlm:pretrained_source"] is None


def test_bands_are_a_dimension_of_the_input_and_described_by_the_item() -> None:
    """The extension's schema has both rules, which its models do not check: an input that names
    bands has the dimension `bands`, and the item describes them; no other input has it."""
    document = stac_item(model_card(evidence()), CONTRACT)
    of_bands = document["properties"]
    [given] = of_bands["mlm:input"]
    assert given["bands"] == ["red", "nir"]
    assert given["input"]["dim_order"] == ["batch", "height", "width", "bands"]
    assert of_bands["bands"] == [{"name": "red"}, {"name": "nir"}]
    assert document["assets"]["model"]["bands"] == of_bands["bands"]

    contract = Contract(image=ImageSpec(), classes=CLASSES)
    of_photographs = stac_item(model_card(evidence(contract)), contract)["properties"]
    [given] = of_photographs["mlm:input"]
    assert given["bands"] == []
    assert given["input"]["dim_order"] == ["batch", "height", "width", "channel"]
    assert "bands" not in of_photographs


def test_classes_with_names_that_stac_does_not_allow_stay_distinct() -> None:
    classes = ("bare soil", "森林", "水")
    contract = CONTRACT.model_copy(update={"classes": classes})
    item = stac_item(model_card(evidence(contract)), contract)
    named = item["properties"]["mlm:output"][0]["classification:classes"]
    assert [it["name"] for it in named] == ["bare_soil", "_-1", "_-2"]
    assert [it["description"] for it in named] == list(classes)


def test_ground_across_the_date_line_is_two_parts_and_unknown_ground_the_earth() -> None:
    across = stac_item(model_card(evidence(bbox=(179.0, -18.0, -178.0, -16.0))), CONTRACT)
    assert across["geometry"]["type"] == "MultiPolygon"
    assert across["bbox"] == [179.0, -18.0, -178.0, -16.0]
    nowhere = stac_item(model_card(evidence(bbox=None)), CONTRACT)
    assert nowhere["bbox"] == [-180.0, -90.0, 180.0, 90.0]
    assert "state no place" in nowhere["properties"]["description"]


def test_a_slice_that_is_known_to_fail_comes_before_worse_ones_that_may_be_chance() -> None:
    """Six wide intervals around 0.1 prove nothing; that of the bog, 0.4 to 0.5, is below 0.9."""
    given = evidence()
    whole, *_ = given.metrics["slices"]

    def item(name: str, value: float, interval: list[float] | None) -> dict[str, Any]:
        candidate = {**whole["candidate"], "accuracy": value}
        own = {"slice": name, "features": {"land": name}, "accuracy_interval": interval}
        return {**whole, **own, "candidate": candidate}

    chance = [item(f"rare {number}", 0.1, None) for number in range(6)]
    failing = [item(f"bog {number}", 0.45, [0.4, 0.5]) for number in range(7)]
    slices = [whole, *chance, *failing]
    card = model_card(replace(given, metrics={**given.metrics, "slices": slices}))
    assert [it.slice for it in card.metrics.worst] == [f"bog {number}" for number in range(5)]
    assert "Clearly worse on 2 more slices, which metrics.json has." in card.limits
    few = model_card(replace(given, metrics={**given.metrics, "slices": [whole, *chance]}))
    assert [it.slice for it in few.metrics.worst] == [f"rare {number}" for number in range(5)]


def test_the_page_has_every_metric_once_with_its_interval_and_counts_whole() -> None:
    given = evidence()
    counts = {"support/water": 1, "non_finite_count": 0}
    candidate = {**given.metrics["slices"][0]["candidate"], **counts}
    slices = [{**given.metrics["slices"][0], "candidate": candidate}, *given.metrics["slices"][1:]]
    card = model_card(replace(given, metrics={**given.metrics, "slices": slices}))
    found = {"accuracy": 0.9, "log_loss": 0.5, "non_finite_count": 0}
    assert dict(card.metrics.all) == found
    page = card_page(card)
    assert '<td>accuracy</td><td class="n">0.900</td><td class="n">0.850 to 0.950</td>' in page
    assert '<td>log loss</td><td class="n">0.500</td><td class="n">–</td>' in page
    assert '<td>water</td><td class="n">1</td>' in page
    assert '<td>non finite count</td><td class="n">0</td>' in page


def test_a_card_says_where_its_interval_takes_examples_as_independent() -> None:
    message = "The interval takes each example as independent"
    given = evidence()
    assert not any(it.startswith(message) for it in model_card(given).limits)
    drawn = {"method": "wilson", "by": "example", "count": 200}
    slices = [{**it, "drawn": drawn} for it in given.metrics["slices"]]
    alone = model_card(replace(given, metrics={**given.metrics, "slices": slices}))
    assert any(it.startswith(message) for it in alone.limits)


def test_the_text_of_a_version_has_its_number_and_one_group_is_no_plural() -> None:
    card = model_card(evidence())
    assert card_text(card, 7).startswith("crops, version 7: single_label, pushed 2026-11-28")
    assert "contact: not stated" in card_text(card, 7).splitlines()
    one = card.metrics.overall.model_copy(update={"groups": 1})
    assert "from 1 group;" in measured_text(card.metrics, one)
