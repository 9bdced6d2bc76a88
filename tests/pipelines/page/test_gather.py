"""Evidence of a page from real artifacts: examples, a saved model, predictions, statistics."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.evaluation.predictions import Head, PredictionRow, write_predictions
from components.node.files import PREDICTIONS_FILE
from components.raster.pictures.colours import WRONG_RGB
from components.raster.pixel_tally import pixel_tally
from pipelines.page.content import Content
from pipelines.page.evidence import PageEvidence, ShownExample
from pipelines.page.gather import Sources, gather
from pipelines.page.geojson import GEOJSON_FILE
from pipelines.page.render import run_page
from pipelines.page.thumbnails import read_examples
from tests.components.models import serialized, write_split
from tests.components.task_models import png, save_task_model

CLASSES = ("dark", "bright")
SIDE = 16


def half_bright() -> np.ndarray:
    """A picture whose left half is dark and whose right half is bright, as the model has it."""
    pixels = np.full((SIDE, SIDE), 40, np.uint8)
    pixels[:, SIDE // 2 :] = 220
    return pixels


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> tuple[PageEvidence, Path]:
    """Of two examples; by the truth of the second one all is dark, so that half of it is wrong."""
    root = tmp_path_factory.mktemp("run")
    truths = {"right": (half_bright() > 128).astype(np.uint8), "wrong": np.zeros((SIDE, SIDE))}
    examples = [
        serialized(
            {
                "image/encoded": png(half_bright()),
                "image/key": key.encode(),
                "mask/encoded": png(mask.astype(np.uint8)),
            }
        )
        for key, mask in truths.items()
    ]
    write_split(root / "examples", "test", examples)
    save_task_model(root / "model", "segmentation", CLASSES)
    judged = {
        "right": {"truth": "dark; bright", "score": 1.0, "confidence": 0.75},
        "wrong": {"truth": "dark", "score": 0.5, "confidence": 0.5},
    }
    rows = [
        PredictionRow(
            key, answer="dark; bright", details=pixels_of_mask(truths[key]), **judged[key]
        )
        for key in truths
    ]
    (root / "evaluation").mkdir()
    placed = [PredictionRow(**{**vars(row), "longitude": 9.0, "latitude": 48.0}) for row in rows]
    write_predictions(root / "evaluation" / PREDICTIONS_FILE, Head("segmentation", CLASSES), placed)
    page = root / "page"
    page.mkdir()
    folders = (str(root / name) for name in ("examples", "model", "evaluation", "statistics"))
    return gather(Sources("test", *folders), str(page)), page


def pixels_of_mask(mask: np.ndarray) -> dict[str, list[int]]:
    """The details of an answer that is bright on the right, everywhere as sure."""
    answer = (half_bright() > 128).astype(np.int64)
    tally = pixel_tally(mask.astype(np.int64), answer, np.full(mask.shape, 0.75), len(CLASSES))
    levels: dict[str, list[int]] = {"level_cells": [], "level_counts": []}
    return {"pixel_cells": tally.cells.tolist(), "pixel_counts": tally.counts.tolist(), **levels}


def pixels_of(example: ShownExample, index: int) -> np.ndarray:
    data = base64.b64decode(example.pictures[index].address.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_truth_answer_and_difference_are_side_by_side(gathered: tuple[PageEvidence, Path]) -> None:
    [worst] = [group for group in gathered[0].groups if group.title == "Worst mistakes"]
    [example] = worst.examples
    captions = [it.caption for it in example.pictures]
    assert captions == ["image", "truth", "answer: 50% right", "difference: 50% wrong"]
    left, right = np.split(pixels_of(example, 3), 2, axis=1)
    assert np.abs(np.median(right, axis=(0, 1)) - WRONG_RGB).max() < 12, "compressed with loss"
    assert np.ptp(np.median(left, axis=(0, 1))) < 12, "grey, since it is right"


def test_what_is_sure_comes_after_what_is_not(gathered: tuple[PageEvidence, Path]) -> None:
    [group] = [group for group in gathered[0].groups if group.title == "Most uncertain"]
    assert [it.key for it in group.examples] == ["wrong", "right"]


def test_a_mask_that_the_model_contradicts_is_a_suspected_label_error(
    gathered: tuple[PageEvidence, Path],
) -> None:
    [group] = [it for it in gathered[0].groups if it.title == "Suspected label errors"]
    [example] = group.examples
    assert (example.key, example.suggested) == ("wrong", "bright")
    assert example.detail == "50.0% of the pixels"
    assert [it.caption for it in example.pictures][:2] == ["image", "truth"]
    assert "the most suspicious of 2 examples" in group.note


def test_a_suspected_label_error_is_shown_with_what_it_might_be(tmp_path: Path) -> None:
    """Of twenty examples one has the label of the class that the model is sure it is not."""
    rows = []
    for at in range(20):
        name, other = CLASSES if at % 2 else reversed(CLASSES)
        shares = (0.9, 0.1) if name == CLASSES[0] else (0.1, 0.9)
        truth = other if at == 4 else name
        rows.append(
            PredictionRow(
                f"{at:02d}", truth=truth, answer=name, confidence=0.9, probabilities=shares
            )
        )
    (tmp_path / "evaluation").mkdir()
    write_predictions(
        tmp_path / "evaluation" / PREDICTIONS_FILE, Head("single_label", CLASSES), rows
    )
    folders = [str(tmp_path / it) for it in ("examples", "model", "evaluation", "statistics")]
    evidence = gather(Sources("test", *folders), str(tmp_path))
    [group] = [it for it in evidence.groups if it.title == "Suspected label errors"]
    [example] = group.examples
    assert (example.key, example.truth, example.suggested) == ("04", "dark", "bright")
    page = run_page(Content(title="made", evidence=evidence))
    assert "label: dark" in page
    assert "might be: bright" in page


def test_the_map_lies_beside_the_page(gathered: tuple[PageEvidence, Path]) -> None:
    evidence, page = gathered
    assert evidence.place_count == 2
    features = json.loads((page / GEOJSON_FILE).read_text())["features"]
    assert [it["id"] for it in features] == ["right", "wrong"]


def test_a_model_that_failed_leaves_no_examples(tmp_path: Path) -> None:
    nowhere = [str(tmp_path / name) for name in ("examples", "model", "evaluation", "statistics")]
    assert gather(Sources("test", *nowhere), str(tmp_path)) == PageEvidence()


def test_an_example_is_found_by_its_key_whatever_bytes_its_name_has(tmp_path: Path) -> None:
    examples = [serialized({"image/key": key}) for key in (b"Stra\xdfe.jpg", b"other.jpg")]
    write_split(tmp_path, "test", examples)
    files = [str(path) for path in (tmp_path / "Split-test").iterdir()]
    assert read_examples(files, ["Stra\\xdfe.jpg", "other.jpg"]).keys() == {
        "Stra\\xdfe.jpg",
        "other.jpg",
    }
