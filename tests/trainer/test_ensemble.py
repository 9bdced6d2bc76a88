"""Ensembles: the mean of their members, their disagreement, and a resumed training."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax
from scipy.stats import entropy

from components.explanation.model import ExplainedModel
from components.explanation.training_examples import learnt_examples
from components.infra_check.agreement import disagreement
from components.infra_check.answers import answer_in_process
from components.raster.errors import DataError
from components.raster.image import ImageSpec
from serving.contract.contract import Contract, read_contract
from serving.contract.explanations import Explanations
from serving.tasks.graph import task_graph
from tests.trainer.conftest import CLASSES, toy_image
from trainer.models.config import SmallCnn
from trainer.training.config import EnsembleConfig, TrainConfig
from trainer.training.export import export
from trainer.training.splits import Splits
from trainer.training.train import train

ONE = TrainConfig(
    model=SmallCnn(filters=(4,), augment=False), batch_size=8, epochs=2, early_stopping=None, seed=7
)


def mutual_information(probabilities):
    """Of class and member: probabilities [M, ..., K], in nats."""
    return entropy(probabilities.mean(axis=0), axis=-1) - entropy(probabilities, axis=-1).mean(0)


def pooled(task, outputs, pixels=None):
    """The answer of an ensemble, and its disagreement."""
    pixels = np.zeros((*outputs.shape[1:3], 1, 1), np.float32) if pixels is None else pixels
    classes = () if task == "regression" else ("a", "b", "c")
    contract = Contract(task=task, image=ImageSpec(height_px=8, width_px=8), classes=classes)
    found = task_graph(task).pool(tf.constant(outputs), tf.constant(pixels))
    answer = task_graph(task).answer(found.outputs, tf.constant(pixels), contract)
    return {name: it.numpy() for name, it in answer.items()}, found.disagreement.numpy()


def logits(*shape):
    """Of sure and unsure members; some are so sure that float32 knows no other class."""
    values = np.random.default_rng(0).normal(0, 4, shape)
    values[0, 0] *= 60
    return values.astype(np.float32)


def test_one_class_is_the_mean_of_probabilities_and_disagreement_their_mutual_information():
    outputs = logits(4, 6, 3)
    outputs[:, 5] = outputs[0, 5]  # all agree
    answer, doubt = pooled("single_label", outputs)
    each = softmax(outputs.astype(np.float64), axis=-1)
    assert answer["probabilities"] == pytest.approx(each.mean(axis=0), abs=1e-6)
    assert doubt == pytest.approx(mutual_information(each), abs=1e-5)
    assert doubt[5] == pytest.approx(0, abs=1e-6)
    assert (doubt >= 0).all()


def test_several_classes_are_averaged_each():
    outputs = logits(4, 6, 3)
    answer, doubt = pooled("multi_label", outputs)
    each = expit(outputs.astype(np.float64))
    assert answer["probabilities"] == pytest.approx(each.mean(axis=0), abs=1e-6)
    by_class = mutual_information(np.stack([each, 1 - each], axis=-1))
    assert doubt == pytest.approx(by_class.mean(axis=-1), abs=1e-5)


def test_numbers_are_averaged_and_disagreement_is_their_standard_deviation():
    outputs = np.random.default_rng(0).normal(50, 9, (4, 6, 1)).astype(np.float32)
    answer, doubt = pooled("regression", outputs)
    assert answer["value"] == pytest.approx(outputs[..., 0].mean(axis=0))
    assert doubt == pytest.approx(outputs[..., 0].std(axis=0), rel=1e-5)


def test_pixels_are_averaged_each_and_those_without_data_do_not_count():
    outputs, pixels = logits(2, 3, 4, 4, 3), np.zeros((3, 4, 4, 1), np.float32)
    pixels[0, :2], pixels[2] = np.nan, np.nan
    outputs[:, 0, 0] = np.nan  # as of a network that does nothing about them
    answer, doubt = pooled("segmentation", outputs, pixels)
    each = softmax(outputs.astype(np.float64), axis=-1)
    information, valid = mutual_information(each), np.isfinite(pixels[..., 0])
    confidence = np.where(valid, each.mean(axis=0).max(axis=-1), 0)
    assert answer["confidence"] == pytest.approx(confidence, abs=1e-6)
    wanted = [information[row][valid[row]].mean() if valid[row].any() else 0 for row in range(3)]
    assert doubt == pytest.approx(wanted, abs=1e-5)


def test_boxes_have_no_mean():
    several = TrainConfig(ensemble=EnsembleConfig())
    assert "train.ensemble averages" in several.conflict("detection")
    assert several.conflict("segmentation") is None


@pytest.fixture(scope="module")
def splits(pattern):
    return Splits((pattern("train"),), (pattern("eval"),), CLASSES, "single_label")


class Killed(Exception):
    """Stands for any end of a process."""


@pytest.mark.slow
def test_a_served_ensemble_is_the_mean_of_trainings_with_its_seeds(
    splits, image_spec, pattern, tmp_path
):
    """It is killed in its second member and resumes, with every optional part."""
    several = ONE.model_copy(
        update={
            "ensemble": EnsembleConfig(members=2),
            "temperature": "auto",
            "unknown": True,
            "conformal": 0.6,
            "explain": Explanations(steps=2),
        }
    )
    seen = []

    def kill(row):
        seen.append(row.epoch)
        if len(seen) == 3:
            raise Killed

    places = str(tmp_path / "logs"), str(tmp_path / "checkpoints")
    with pytest.raises(Killed):
        train(splits, image_spec, several, *places, kill)
    found = train(splits, image_spec, several, *places, lambda row: seen.append(row.epoch))
    assert seen == [1, 2, 1, 2]  # the first member is not trained again
    export(
        *(found.model, found.contract, str(tmp_path / "model")),
        *(found.explainable, found.embedded, found.unknown),
    )
    contract = read_contract(tmp_path / "model")
    assert (contract.ensemble.members, contract.ensemble.disagreement) == (2, "mutual_information")

    random = np.random.default_rng(8)
    images = [toy_image(number % 2, random) for number in range(6)]
    pixels = np.stack([tf.io.decode_png(it).numpy() for it in images])
    each = np.stack(
        [
            train(splits, image_spec, ONE.model_copy(update={"seed": seed}), *alone).model(pixels)
            for seed in (7, 8)
            for alone in [(f"{tmp_path}/{seed}/logs", f"{tmp_path}/{seed}/checkpoints")]
        ]
    ).astype(np.float64)
    mean = softmax(each, axis=-1).mean(axis=0)
    assert not np.allclose(*each)
    answers = answer_in_process(tmp_path / "model", {"serving_default": images})["serving_default"]
    given = np.array([[*it.probabilities.values()] for it in answers])
    scaled = softmax(np.log(mean) / (contract.temperature or 1.0), axis=-1)
    assert given == pytest.approx(scaled, abs=1e-5)
    doubt = [it.reliability.disagreement for it in answers]
    assert doubt == pytest.approx(mutual_information(softmax(each, axis=-1)), abs=1e-5)
    assert all(it.reliability.unknown_score is not None for it in answers)
    assert all(it.reliability.classes for it in answers)
    assert "disagreement" in answers[0].as_json()
    assert disagreement(answers, answers, 1e-6) == ""
    other = replace(answers[0].reliability, disagreement=1.0)
    wrong = [replace(answers[0], reliability=other)]
    assert "reliability has 1," in disagreement(answers[:1], wrong, 1e-3)
    model = ExplainedModel(tmp_path / "model")
    assert [it.score for it in model.explain(images)] == pytest.approx(
        np.log(mean.max(axis=1)), abs=1e-5
    )
    with pytest.raises(DataError, match="is an ensemble"):
        learnt_examples(model, pattern("train"))
    assert "disagreement" in answers[0].reliability.as_text()
