import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from pipelines.local.rare_classes import are_uneven, rare_classes
from tests.trainer.rasters import serialized, write_records
from trainer.data.class_counts import ClassCounts
from trainer.imbalance.config import Imbalance
from trainer.imbalance.emphasis import emphasis_of
from trainer.imbalance.report import imbalance_report
from trainer.tasks.config import options_type
from trainer.tasks.conflicts import conflict
from trainer.tasks.registry import objective_type

CLASSES = ("a", "b", "c")
SEEN = ClassCounts(CLASSES, (80, 5, 15), 100)


def png(mask):
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return buffer.getvalue()


def test_classes_are_counted_as_the_task_has_them(tmp_path):
    path = write_records(
        tmp_path / "one.tfrecord",
        [
            serialized({"label": [2], "labels": [0, 2], "object/label": [1, 1, 0]}),
            serialized({"label": [0], "image/key": [b"x"]}),
        ],
    )
    for task, counts, unit in (
        ("single_label", (1, 0, 1), "images"),
        ("multi_label", (1, 0, 1), "images"),
        ("detection", (1, 2, 0), "objects"),
    ):
        found = objective_type(task).count_classes([path], CLASSES)
        assert found == ClassCounts(CLASSES, counts, 2, unit)


def test_pixels_of_masks_are_counted_without_the_ignored(tmp_path):
    masks = [np.array([[0, 1], [1, 255]], np.uint8), np.array([[2, 2, 2]], np.uint8)]
    records = [serialized({"mask/encoded": [png(mask)]}) for mask in masks]
    path = write_records(tmp_path / "one.tfrecord", records)
    found = objective_type("segmentation").count_classes([path], CLASSES)
    assert found == ClassCounts(CLASSES, (1, 2, 3), 2, "pixels")


@pytest.mark.parametrize("task", ["single_label", "multi_label", "segmentation"])
def test_weights_go_where_the_task_needs_them(task):
    config = Imbalance(class_weights="inverse", focal_gamma=2.0)
    emphasis = emphasis_of(options_type(task).weighting, SEEN, config)
    of_examples = task == "single_label"
    assert (emphasis.example_weights is not None) == of_examples
    assert (emphasis.loss_weights is None) == of_examples
    assert emphasis.gamma == 2.0


def test_a_summary_names_the_rarest_classes_and_what_was_done():
    def message(config, seen=SEEN):
        return rare_classes(
            imbalance_report(seen, config, emphasis_of("examples", seen, config))
        ).splitlines()

    assert message(Imbalance(class_weights="inverse", focal_gamma=2.0)) == [
        "rarest classes in train, in images: b 5, c 15, a 80",
        "  class weights, inverse: 0.417 to 6.67; focal loss, gamma 2",
    ]
    assert message(Imbalance(sampling="balanced"))[1:] == ["  balanced sampling"]
    assert message(Imbalance())[1:] == ["  nothing was done about it (train.imbalance)"]
    none = replace(SEEN, counts=(80, 0, 15))
    assert message(Imbalance(), none)[2:] == ["  without any: b"]


def test_a_summary_is_silent_about_classes_that_are_as_common_as_each_other():
    def uneven(counts, **config):
        seen = replace(SEEN, counts=counts)
        chosen = Imbalance(**config)
        return are_uneven(imbalance_report(seen, chosen, emphasis_of("examples", seen, chosen)))

    assert not uneven((100, 150, 120))
    assert uneven((100, 151, 120))
    assert uneven((0, 1, 1))
    assert uneven((100, 100, 100), sampling="balanced")


def test_rare_classes_are_not_made_to_count_twice_over():
    with pytest.raises(ValidationError, match="inverse and sampling: balanced.*keep one of them"):
        Imbalance(class_weights="inverse", sampling="balanced")


@pytest.mark.parametrize(
    ("change", "task", "wrong"),
    [
        ({"sampling": "balanced"}, "multi_label", "sampling is balanced"),
        ({"class_weights": "inverse"}, "regression", "class_weights is for single_label"),
        ({"focal_gamma": 2}, "detection", "focal_gamma is for single_label"),
        ({"class_weights": "inverse", "focal_gamma": 2}, "segmentation", None),
        ({}, "detection", None),
    ],
)
def test_what_a_task_cannot_have_is_reported(change, task, wrong):
    found = conflict(task, False, Imbalance.model_validate(change))
    assert (found is None) if wrong is None else (wrong in found)
