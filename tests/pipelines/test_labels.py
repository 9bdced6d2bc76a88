"""Search for wrong labels: from predictions, from a model's answers, and by folds."""

import csv
import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from components.evaluation.predictions import Head, PredictionRow, write_predictions
from components.ingest.listing.manifest import classes_of
from components.label_audit.issues import captions, corrections_csv
from components.raster.task import TASKS
from pipelines.audit.audit import audit_predictions
from pipelines.cli.main import cli

CLASSES = ("forest", "water")


def predictions(path: Path, task: str, truths: list[str | None]) -> Path:
    """Writes rows whose probabilities agree with their names, but for one label."""
    rows = []
    for at, truth in enumerate(truths):
        of_water = 0.9 if at % 2 else 0.1
        rows.append(
            PredictionRow(f"{at:02d}.png", truth=truth, probabilities=(1 - of_water, of_water))
        )
    write_predictions(path, Head(task, CLASSES), rows)  # type: ignore[arg-type]
    return path


def test_a_wrong_label_of_the_test_split_is_found_from_its_predictions_alone(tmp_path):
    truths = [CLASSES[at % 2] for at in range(20)]
    truths[4] = "water"
    truths[7] = None
    path = predictions(tmp_path / "p.parquet", "single_label", truths)
    audit = audit_predictions(path)
    assert (len(audit), audit.without_truth) == (19, 1)
    (issue,) = audit.issues()
    assert (issue.key, issue.given, issue.suggested) == ("04.png", "water", "forest")
    assert issue.confidence == pytest.approx(0.9)
    assert captions([issue], 5) == {"04.png": "water > forest 0.90"}
    assert corrections_csv([issue]) == "key,label,given,confidence\n04.png,forest,water,0.900\n"


def test_a_class_too_much_is_found_among_several(tmp_path):
    truths = [CLASSES[at % 2] for at in range(20)]
    truths[4] = "forest; water"
    audit = audit_predictions(predictions(tmp_path / "p.parquet", "multi_label", truths))
    (issue,) = audit.issues()
    assert (issue.key, issue.given, issue.suggested) == ("04.png", "forest|water", "forest")


def test_a_bar_in_the_name_of_a_class_goes_into_a_correction_and_out_of_it_again(tmp_path):
    names = ("bare|sand", "water")
    truths = [names[at % 2] for at in range(20)]
    truths[4] = "bare|sand; water"
    path = tmp_path / "p.parquet"
    shares = ((0.9, 0.1), (0.1, 0.9))
    rows = [
        PredictionRow(f"{at:02d}.png", truth=truth, probabilities=shares[at % 2])
        for at, truth in enumerate(truths)
    ]
    write_predictions(path, Head("multi_label", names), rows)
    (issue,) = audit_predictions(path).issues()
    assert issue.given == "bare\\|sand|water"
    [row] = csv.DictReader(io.StringIO(corrections_csv([issue])))
    assert classes_of(row["label"]) == ("bare|sand",)


def test_a_wrong_number_is_found_from_the_predictions_alone(tmp_path):
    rows = [
        PredictionRow(f"{at:02d}.png", truth=f"{at}", answer=f"{at + 0.1 * (-1) ** at:.9g}")
        for at in range(20)
    ]
    rows[4] = PredictionRow("04.png", truth="40", answer="4.1")
    rows.append(PredictionRow("none.png", answer="7"))
    path = tmp_path / "p.parquet"
    write_predictions(path, Head("regression", ()), rows)
    audit = audit_predictions(path)
    assert (len(audit), audit.without_truth) == (20, 1)
    (issue,) = audit.issues()
    assert (issue.key, issue.given, issue.suggested) == ("04.png", "40", "4.1")


def test_a_missing_object_is_found_from_the_predictions_alone(tmp_path):
    """Nine images have a car where the model finds it; the tenth has it without a label."""
    rows = []
    for at in range(10):
        box, labelled = [2.0, 2.0, 8.0, 8.0], at != 4
        details = {
            "given_classes": [1] * labelled,
            "given_boxes": box * labelled,
            "found_classes": [1],
            "found_boxes": box,
            "found_scores": [0.9],
        }
        rows.append(PredictionRow(f"{at}.png", truth="car" * labelled, details=details))
    path = tmp_path / "p.parquet"
    write_predictions(path, Head("detection", ("boat", "car")), rows)
    (issue,) = audit_predictions(path).issues()
    assert (issue.key, issue.given, issue.suggested) == ("4.png", "", "car")
    assert issue.detail == "missing: box 2, 2, 8, 8"


def test_of_a_large_split_as_many_examples_are_audited_as_the_memory_allows(tmp_path):
    truths = [CLASSES[at % 2] for at in range(400)]
    path = predictions(tmp_path / "p.parquet", "single_label", truths)
    assert len(audit_predictions(path, most_numbers=800)) == 400
    assert 150 < len(audit_predictions(path, most_numbers=400)) < 250


@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_an_audit_without_suspects_where_there_are_no_examples(task):
    from components.label_audit.tasks.base import audited_task

    assert audited_task(task).issues((), (), CLASSES) == []


def test_each_example_is_held_out_once_and_scenes_stay_together(tmp_path):
    import tensorflow as tf

    from components.node.records import records
    from pipelines.local.folds import assign, write_fold
    from trainer.data.groups import read_grouping

    examples = tmp_path / "examples"
    for split in ("train", "eval", "test"):
        (examples / f"Split-{split}").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(examples / f"Split-{split}" / "part-0")) as writer:
            for number in range(12):
                key = f"{split}/{number}".encode()
                message = tf.train.Example()
                features = message.features.feature
                features["image/key"].bytes_list.value.append(key)
                features["image/scene"].bytes_list.value.append(str(number % 5).encode())
                writer.write(message.SerializeToString())
    (examples / "classes.json").write_text(json.dumps(list(CLASSES)))
    seen, scenes = [], {}
    grouping = read_grouping(str(examples))
    assigned = assign(dict.fromkeys(map(str, range(5)), 7), 3)
    for fold in range(3):
        folder = tmp_path / str(fold)
        folder.mkdir()
        held, count = write_fold(
            str(examples), str(folder), {it for it in assigned if assigned[it] == fold}, grouping
        )
        found = [tf.train.Example.FromString(it) for it in records(held)]
        assert len(found) == count
        for message in found:
            features = message.features.feature
            seen.append(features["image/key"].bytes_list.value[0].decode())
            scenes.setdefault(features["image/scene"].bytes_list.value[0], set()).add(fold)
        rest = sum(
            1
            for split in ("train", "eval")
            for _ in records(str(folder / f"Split-{split}" / "part"))
        )
        assert rest + count == 36
        assert (folder / "classes.json").exists()
    assert len(seen) == len(set(seen)) == 36
    assert all(len(folds) == 1 for folds in scenes.values())
    folder = tmp_path / "stand-in"
    folder.mkdir()
    write_fold(str(examples), str(folder), {"0"}, grouping, evaluated="1")
    counts = [len(list(records(str(folder / f"Split-{it}" / "part")))) for it in ("train", "eval")]
    assert counts == [18, 9], "scenes 0 and 1 have three images of each split, the others seven"
    assert np.unique([next(iter(it)) for it in scenes.values()]).size > 1


def test_fewer_groups_than_folds_is_an_error():
    from components.raster.errors import ConfigError
    from pipelines.local.folds import assign

    with pytest.raises(ConfigError, match="2 groups cannot fill 3 folds"):
        assign({"a": 1, "b": 9}, 3)


def test_a_fold_that_takes_the_whole_eval_split_leaves_its_smallest_unit_to_evaluate_on():
    from components.raster.errors import ConfigError
    from pipelines.local.folds import stand_in

    rest = {"north": Counter(train=9), "south": Counter(test=2, train=1)}
    assert stand_in(rest) == "south"
    assert stand_in({**rest, "east": Counter(eval=1)}) is None
    assert stand_in({"north": Counter(eval=3), "south": Counter(eval=2)}) == "south"
    with pytest.raises(ConfigError, match="a fold leaves one group"):
        stand_in({"north": Counter(train=9)})


def test_corrections_that_someone_may_have_edited_are_not_overwritten(tmp_path):
    edited = tmp_path / "right.csv"
    edited.write_text("key,label\na.png,water\n")
    call = ["labels", "audit", "--corrections", str(edited)]
    assert "right.csv exists" in str(CliRunner().invoke(cli, call).exception)
    assert edited.read_text() == "key,label\na.png,water\n"
