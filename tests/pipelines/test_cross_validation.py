"""Cross-validation: models of folds, their metrics, and resumption after a stop."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.node.records import records
from components.raster.errors import ConfigError
from components.raster.spatial.grouping import GROUPING_FILE, Grouping, grouping_to_json
from pipelines.config.tree import PipelineConfig, parse_config
from pipelines.definition.workspace import WorkspaceBusyError
from pipelines.local.cross_validation import (
    By,
    FoldMetrics,
    _keep,
    _place_of,
    cross_validate,
    spread,
)
from pipelines.local.folds import Fold
from tests.components.models import serialized, write_split
from tests.trainer.conftest import CLASSES, toy_image

GROUPS, SIZE = "abcd", 6


def write_examples(root: Path) -> None:
    """Four groups of six images; one of each group is wrongly labelled."""
    random, groups, examples = np.random.default_rng(0), {}, []
    for number in range(len(GROUPS) * SIZE):
        key, seen = f"image-{number}", number % 2
        label = 1 - seen if number % SIZE == 0 else seen
        groups[key] = GROUPS[number // SIZE]
        features = {"image/encoded": toy_image(seen, random), "image/key": key.encode()}
        features |= {"label": label, "label/text": CLASSES[label].encode()}
        examples.append(serialized(features))
    for split, part in (("train", slice(12)), ("eval", slice(12, 18)), ("test", slice(18, 24))):
        write_split(root, split, examples[part])
    (root / "classes.json").write_text(json.dumps(CLASSES))
    (root / GROUPING_FILE).write_text(grouping_to_json(Grouping(groups=groups)))


def configured(folder: Path) -> PipelineConfig:
    source = {"kind": "folders", "uri": "images"}
    model = {"kind": "small_cnn", "filters": [4], "augment": False}
    tree = {
        "name": "toy",
        "workspace": "workspace",
        "ingest": {"source": source, "image": {"height_px": 16, "width_px": 16}},
        "train": {"model": model, "batch_size": 8, "epochs": 6, "learning_rate": 0.03},
        "push": {"model_dir": "models"},
    }
    return parse_config(tree, str(folder))


def test_folds_of_other_images_or_other_examples_are_not_taken_for_these(tmp_path: Path) -> None:
    write_examples(tmp_path / "examples")
    config, same = configured(tmp_path), (str(tmp_path / "examples"), [2, "split", 1000.0])
    place = _place_of(config, *same)
    assert _place_of(configured(tmp_path), *same) == place
    image = config.ingest.image.model_copy(update={"height_px": 32})
    ingest = config.ingest.model_copy(update={"image": image})
    assert _place_of(config.model_copy(update={"ingest": ingest}), *same) != place
    [file, *_] = (tmp_path / "examples").rglob("*train*/*")
    file.write_bytes(file.read_bytes() * 2)
    assert _place_of(config, *same) != place


def test_the_same_cross_validation_beside_one_that_runs_is_refused(tmp_path: Path) -> None:
    """It would train each fold a second time, and remove the first one's metrics at its end."""
    write_examples(tmp_path / "examples")
    config, examples = configured(tmp_path), str(tmp_path / "examples")
    kept = _place_of(config, examples, [2, "split", 1000.0])
    _keep(kept, FoldMetrics(0, 12, 2, "accuracy", {"accuracy": 0.75}))
    running, second = (cross_validate(config, examples, 2, {}) for _ in range(2))
    assert next(running).value == 0.75
    with pytest.raises(WorkspaceBusyError, match="another cross-validation of the same examples"):
        next(second)
    running.close()
    assert next(cross_validate(config, examples, 2, {})).value == 0.75


@pytest.mark.parametrize(
    ("by", "reason"), [("block", "no example has a place"), ("scene", "no example is from a scene")]
)
def test_folds_by_place_of_examples_without_one_are_refused(
    by: By, reason: str, tmp_path: Path
) -> None:
    """Each example would be held out alone, and the figure would be that of a random split."""
    write_examples(tmp_path / "examples")
    folds = cross_validate(configured(tmp_path), str(tmp_path / "examples"), 2, {}, by)
    with pytest.raises(ConfigError, match=reason):
        next(folds)


@pytest.mark.slow
def test_every_example_is_measured_once_and_a_fold_that_has_ended_is_not_trained_again(
    tmp_path: Path,
) -> None:
    write_examples(tmp_path / "examples")
    config, keys, accuracies = configured(tmp_path), [], []

    def observed(fold: Fold) -> None:
        held = list(records(fold.held_out))
        found = [tf.train.Example.FromString(it).features.feature for it in held]
        keys.append([it["image/key"].bytes_list.value[0].decode() for it in found])
        model = tf.saved_model.load(fold.model)
        answers = model.signatures["serving_examples"](examples=tf.constant(held))["class"].numpy()
        truth = [it["label/text"].bytes_list.value[0] for it in found]
        accuracies.append(np.mean(answers == truth))

    def validate():  # type: ignore[no-untyped-def]
        return cross_validate(config, str(tmp_path / "examples"), 2, {}, on_fold=observed)

    stopped = validate()
    first = next(stopped)
    stopped.close()
    rows = list(validate())
    assert len(keys) == 2, "the first fold was not trained again"
    assert rows[0] == first
    assert sorted(itertools.chain(*keys)) == sorted(f"image-{number}" for number in range(24))
    groups = [{int(key.partition("-")[2]) // SIZE for key in of_fold} for of_fold in keys]
    assert not groups[0] & groups[1]
    assert [(row.examples, row.units) for row in rows] == [(12, 2), (12, 2)]
    assert [row.value for row in rows] == pytest.approx(accuracies)
    assert max(accuracies) < 1, "the wrong labels are not learnt"
    found = spread([row.value for row in rows])
    assert found.mean == pytest.approx(np.mean(accuracies))
    assert found.deviation == pytest.approx(np.std(accuracies, ddof=1))
    assert not list((tmp_path / "workspace/folds").iterdir())
