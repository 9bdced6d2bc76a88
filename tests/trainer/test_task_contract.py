"""Every task from ingest to the user's answer: the same answers everywhere."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from components.evaluation.analysis import evaluate
from components.evaluation.config import EvaluationConfig
from components.infra_check.agreement import disagreement
from components.infra_check.answers import answer_in_process
from components.node.beam import make_pipeline
from components.raster.image import ImageSpec
from components.raster.labels.targets import ignore_value
from pipelines.cli.predict import command as predict
from serving.client import connect
from serving.contract.contract import read_contract
from serving.server.process import serve_model_in_subprocess
from serving.tasks.detection.answer import ObjectsPrediction
from serving.tasks.multi_label.answer import LabelsPrediction
from serving.tasks.registry import outputs_of
from serving.tasks.regression.answer import NumberPrediction
from serving.tasks.segmentation.answer import ClassRasterPrediction
from serving.tasks.single_label.answer import Prediction
from tests.serving.graphs import KNOWN_OPS, ops_of
from tests.trainer.coco import average_precision
from tests.trainer.collection import (
    COLUMNS,
    SIDE_PX,
    ingest_config,
    write_examples,
    write_houses,
    write_pictures,
)
from trainer.data.examples import list_files
from trainer.tasks.config import DetectionOptions
from trainer.training.config import SmallCnn, TrainConfig
from trainer.training.export import export
from trainer.training.splits import Splits
from trainer.training.train import Trained, train

pytestmark = pytest.mark.slow

#: A detector needs more of them before it is sure of anything.
EPOCHS = dict.fromkeys(COLUMNS, 3) | {"detection": 30}
IMAGE = ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX)
TASKS = tuple(sorted(EPOCHS))
OPTIONS = {
    "detection": DetectionOptions(
        filters=8, depth=1, finest_stride_px=4, levels=2, max_objects=8, min_score=0.001
    )
}
#: Of each answer's type, its independent scores, and the evaluation's metric of that name.
METRIC = {
    "single_label": "accuracy",
    "multi_label": "exact_match",
    "regression": "mae",
    "segmentation": "pixel_accuracy",
    "detection": "mean_average_precision_50",
}


class Killed(Exception):
    """Stands for whatever ends a process between two epochs."""


@dataclass(frozen=True)
class Case:
    """A task's examples, its trained model, and where the model was exported to."""

    task: str
    examples: Path
    classes: tuple[str, ...]
    trained: Trained
    model: Path

    @property
    def splits(self) -> Splits:
        return splits_of(self.examples, self.classes, self.task)


def splits_of(root: Path, classes: tuple[str, ...], task: str) -> Splits:
    train_files, eval_files = ((f"{root}/Split-{name}/*",) for name in ("train", "eval"))
    return Splits(train_files, eval_files, classes, task)


def fitted(splits, folder, on_epoch=None):
    training = TrainConfig(
        task=OPTIONS.get(splits.task),
        model=SmallCnn(filters=(4, 8), dropout=0, augment=False),
        batch_size=6,
        epochs=EPOCHS[splits.task],
        early_stopping=None,
    )
    logs, checkpoints = f"{folder}/logs", f"{folder}/checkpoints"
    return train(splits, IMAGE, training, logs, checkpoints, on_epoch)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_houses(folder)
    return write_pictures(folder)


@pytest.fixture(scope="module", params=TASKS)
def case(request, manifest, tmp_path_factory):
    task, folder = request.param, tmp_path_factory.mktemp(request.param)
    config = ingest_config(manifest, task)
    assert (config.task, config.image) == (task, IMAGE)
    classes = write_examples(config, folder / "examples")
    trained = fitted(splits_of(folder / "examples", classes, task), folder)
    export(trained.model, trained.contract, str(folder / "model"))
    return Case(task, folder / "examples", classes, trained, folder / "model")


def records(case):
    (path,) = list_files([f"{case.examples}/Split-test/*"])
    return list(tf.data.TFRecordDataset(path).as_numpy_iterator())


def images(case):
    spec = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_example(records(case), spec)["image/encoded"].numpy().tolist()


def answers(case, signature="serving_default"):
    items = images(case) if signature == "serving_default" else records(case)
    return answer_in_process(case.model, {signature: items})[signature]


def test_a_killed_training_goes_on_and_ends_with_the_same_weights(case, tmp_path):
    def kill(row):
        if row.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        fitted(case.splits, tmp_path, kill)
    resumed = fitted(case.splits, tmp_path)
    assert resumed.history.resumed_after_epochs == 1
    for mine, theirs in zip(
        resumed.model.get_weights(), case.trained.model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


def test_it_learns_and_tells_the_metrics_of_its_task(case):
    rows = case.trained.history.epochs
    assert rows[-1].loss < rows[0].loss
    names = {name for name in rows[0].metrics if not name.startswith("val_")}
    assert {f"val_{name}" for name in names} == set(rows[0].metrics) - names
    assert names or case.task == "detection"


def test_the_contract_says_what_it_answers(case):
    contract = read_contract(case.model)
    assert contract.task == case.task
    assert contract.classes == case.classes
    signatures = tf.saved_model.load(str(case.model)).signatures
    for name in contract.signatures:
        outputs = signatures[name].structured_outputs
        assert set(outputs) == set(contract.outputs) == set(outputs_of(contract.task))


def test_every_op_is_one_that_stock_tensorflow_serving_has(case):
    assert ops_of(case.model) <= KNOWN_OPS


def test_the_answer_is_what_the_model_gives_for_the_pixels(case):
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(item))) for item in images(case)])
    outputs = case.trained.model(pixels, training=False)
    if case.task == "detection":
        return the_objects_are_those_of(outputs, answers(case))
    outputs = np.asarray(outputs, np.float64)
    for row, found in zip(outputs, answers(case), strict=True):
        match found:
            case Prediction():
                wanted = np.exp(row) / np.exp(row).sum()
                assert list(found.probabilities.values()) == pytest.approx(wanted, abs=1e-5)
                assert found.class_name == case.classes[row.argmax()]
            case LabelsPrediction():
                wanted = 1 / (1 + np.exp(-row))
                assert list(found.probabilities.values()) == pytest.approx(wanted, abs=1e-5)
                assert found.present == tuple(np.array(case.classes)[wanted >= 0.5])
            case NumberPrediction():
                assert found.value == pytest.approx(row.item(), rel=1e-5)
            case ClassRasterPrediction():
                assert found.class_raster.shape == (SIDE_PX, SIDE_PX)
                assert np.array_equal(found.class_raster, row.argmax(axis=-1))
                wanted = (np.exp(row) / np.exp(row).sum(axis=-1, keepdims=True)).max(axis=-1)
                np.testing.assert_allclose(found.confidence, wanted, atol=1e-5)


def the_objects_are_those_of(outputs, given):
    boxes, labels, scores = (outputs[name].numpy() for name in ("boxes", "labels", "scores"))
    assert (labels >= 0).any()
    for index, found in enumerate(given):
        there = labels[index] >= 0
        order = np.argsort(-scores[index][there], kind="stable")
        wanted = np.column_stack([scores[index], boxes[index]])[there][order]
        got = [(it.score, it.ymin, it.xmin, it.ymax, it.xmax) for it in found.objects]
        np.testing.assert_allclose(np.reshape(got, (-1, 5)), wanted, atol=1e-3)
        assert all(it.class_name == "house" for it in found.objects)


def test_a_server_answers_as_the_model_does_and_so_does_the_command_line(case, tmp_path):
    wanted = answers(case)
    paths = []
    for number, data in enumerate(images(case)):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(data)
    with serve_model_in_subprocess(case.model) as server:
        for address in (server.grpc, server.rest):
            with connect(address, model=server.model_name) as client:
                given = client.predict(images(case))
                by_example = client.predict(records(case), signature="serving_examples")
            assert not disagreement(wanted, given, 1e-5)
            assert not disagreement(wanted, by_example, 1e-5)
        done = CliRunner().invoke(
            predict,
            ["--server", server.grpc, "--model", server.model_name, "--json", *map(str, paths)],
        )
    assert done.exit_code == 0, done.output
    printed = [json.loads(line) for line in done.output.splitlines()]
    for line, found in zip(printed, wanted, strict=True):
        match found:
            case Prediction():
                assert line["class"] == found.class_name
            case LabelsPrediction():
                assert line["present"] == list(found.present)
            case NumberPrediction():
                assert line["value"] == pytest.approx(found.value, rel=1e-5)
            case ClassRasterPrediction():
                assert line["shares"] == pytest.approx(found.shares, abs=1e-3)
            case ObjectsPrediction():
                told_scores = [it["score"] for it in line["objects"]]
                assert told_scores == pytest.approx([it.score for it in found.objects], abs=1e-5)


def test_the_evaluation_measures_these_answers(case, tmp_path):
    found = evaluate(
        EvaluationConfig(),
        list_files([f"{case.examples}/Split-test/*"]),
        str(case.model),
        None,
        str(tmp_path / "eval"),
        lambda: make_pipeline(["--runner=FnApiRunner"]),
    )
    assert not found.failures
    (overall,) = found.slices
    metric, wanted = METRIC[case.task], by_hand(case)
    assert overall.candidate[metric] == pytest.approx(wanted, abs=1e-6)
    assert wanted > 0


def objects_of(record):
    feature = tf.train.Example.FromString(record).features.feature
    edges = [
        feature[f"object/bbox/{it}"].float_list.value for it in ("ymin", "xmin", "ymax", "xmax")
    ]
    return [(0, box) for box in zip(*edges, strict=True)]


def found_in(prediction):
    return [(0, (it.ymin, it.xmin, it.ymax, it.xmax), it.score) for it in prediction.objects]


def by_hand(case):
    """The metric of `METRIC` from the answers and the examples' truth, in numpy, or COCO's own."""
    given, scores = answers(case), []
    if case.task == "detection":
        return average_precision(
            [objects_of(record) for record in records(case)], map(found_in, given)
        )
    for record, found in zip(records(case), given, strict=True):
        feature = tf.train.Example.FromString(record).features.feature
        match found:
            case Prediction():
                scores.append(
                    feature["label/text"].bytes_list.value[0].decode() == found.class_name
                )
            case LabelsPrediction():
                truth = {it.decode() for it in feature["labels/text"].bytes_list.value}
                scores.append(truth == set(found.present))
            case NumberPrediction():
                scores.append(abs(feature["target/number"].float_list.value[0] - found.value))
            case ClassRasterPrediction():
                png = feature["mask/encoded"].bytes_list.value[0]
                truth = np.asarray(Image.open(io.BytesIO(png)))
                known = truth != ignore_value(len(case.classes))
                assert not known[:2, -2:].any()
                scores += (truth == found.class_raster)[known].tolist()
    return np.mean(scores)
