"""Unknown imagery and conformal bounds, on synthetic data of known coverage and novelty."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.stats import binom

from components.infra_check.agreement import disagreement
from components.infra_check.answers import answer_in_process
from components.raster.image import ImageSpec
from serving.contract.contract import Contract
from serving.contract.reliability import UnknownScore
from serving.graph.reliability import reliability
from serving.tasks.graph import task_graph
from tests.components.models import serialized
from tests.serving.graphs import KNOWN_OPS, ops_of
from trainer.models.config import SmallCnn
from trainer.training.config import TrainConfig
from trainer.training.export import export
from trainer.training.reliability import fit_conformal, fit_unknown
from trainer.training.splits import Splits
from trainer.training.train import train

CLASSES = ("dark", "light")
SIDE_PX = 24


def covered(bound, errors):
    return int((errors <= bound).sum())


def test_a_bound_covers_its_share_of_new_errors():
    random = np.random.default_rng(0)
    found = fit_conformal(random.exponential(size=999), 0.9, [None] * 999)
    # With 999 examples the bound is the 900th error, by the definition of split conformal.
    assert found.bound == np.sort(np.random.default_rng(0).exponential(size=999))[899]
    assert (found.examples, found.groups) == (999, None)
    low, high = binom.interval(0.999, 5000, 0.9)
    assert low <= covered(found.bound, random.exponential(size=5000)) <= high


def test_by_group_a_bound_holds_for_new_groups_and_by_example_it_does_not():
    random = np.random.default_rng(1)

    def groups(count):
        """Errors of groups of 40, each with a level of its own."""
        levels = np.repeat(random.exponential(size=count), 40)
        names = np.repeat(np.arange(count), 40).astype(str)
        return levels + 0.05 * random.random(count * 40), names.tolist()

    trials = 300
    shares = {True: [], False: []}
    for _ in range(trials):
        errors, names = groups(9)
        new, _ = groups(1)
        for by_group in shares:
            found = fit_conformal(errors, 0.8, names if by_group else [None] * len(errors))
            shares[by_group].append(covered(found.bound, new) / 40)
    assert np.mean(shares[True]) > 0.8 - 2 * np.std(shares[True]) / trials**0.5
    assert np.mean(shares[True]) > np.mean(shares[False])


def test_a_split_too_small_for_its_level_has_no_bound():
    assert fit_conformal(np.arange(5.0), 0.9, [None] * 5).bound is None
    assert fit_conformal(np.arange(40.0), 0.9, np.repeat(list("abcd"), 10).tolist()).bound is None


def test_one_example_drawn_alone_does_not_make_the_others_independent():
    """Of 5 units, 40 % is beyond each bound below the largest: the level of 0.8 needs 4 of them."""
    errors = np.repeat([1.0, 2.0, 3.0, 4.0], [10, 10, 10, 1])
    found = fit_conformal(errors, 0.8, [*np.repeat(list("abc"), 10).tolist(), None])
    assert (found.bound, found.groups, found.examples) == (4.0, 4, 31)
    assert fit_conformal(errors, 0.8, [None] * 31).bound == 3.0


def embeddings(random, count, shift=0.0):
    """Two classes along the first of 8 axes; a direction in which no class varies is shifted."""
    labels = random.integers(0, 2, count)
    values = random.normal(size=(count, 8)) * [1, 1, 1, 1, 1, 0.3, 0.3, 0.3]
    values[:, 0] += 6 * labels
    values[:, 5] += shift
    return values, labels


def roc_auc(known, unknown):
    """The share of pairs in which the unknown one has the higher score."""
    return (unknown[:, np.newaxis] > known).mean()


@pytest.mark.parametrize("with_classes", [True, False])
def test_what_is_unlike_all_classes_scores_high_and_percentiles_are_even(with_classes):
    random = np.random.default_rng(2)
    train, labels = embeddings(random, 2000)
    fitted = fit_unknown(train, labels if with_classes else None, embeddings(random, 2000)[0])
    known, unknown = (fitted.scores(embeddings(random, 2000, shift)[0]) for shift in (0.0, 1.5))
    assert roc_auc(known, unknown) > 0.95
    between, within = fitted.scores(np.array([[3.0, *np.zeros(7)], [0.0, *np.zeros(7)]]))
    assert (between > np.quantile(known, 0.99)) == with_classes
    assert within < np.quantile(known, 0.99)
    percentiles = (known[:, np.newaxis] >= fitted.quantiles).mean(axis=1)
    assert np.quantile(percentiles, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.05)


def test_an_embedding_that_overflows_is_as_unknown_as_can_be():
    """Its distances are infinite, and their difference is not a number."""
    random = np.random.default_rng(2)
    fitted = fit_unknown(*embeddings(random, 200), embeddings(random, 200)[0])
    contract = Contract(image=ImageSpec(height_px=8, width_px=8), classes=CLASSES)
    asked = tf.constant([[0.0] * 8, [1e30] * 8, [np.nan] * 8], tf.float32)
    result = reliability({}, {"embedding": asked}, fitted, task_graph("single_label"), contract)
    assert result["unknown_percentile"].numpy()[0] < 100
    assert result["unknown_percentile"].numpy()[1:].tolist() == [100, 100]
    assert np.isfinite(result["unknown_score"]).all()


def test_an_eval_split_of_one_image_does_not_make_rounding_the_score():
    random = np.random.default_rng(7)
    train, labels = embeddings(random, 300)
    asked, _ = embeddings(random, 50)
    contract = Contract(image=ImageSpec(height_px=8, width_px=8), classes=CLASSES)
    for one in asked:
        fitted = fit_unknown(train, labels, one[np.newaxis])
        given = tf.constant(one[np.newaxis], tf.float32)
        result = reliability({}, {"embedding": given}, fitted, task_graph("single_label"), contract)
        assert result["unknown_score"].numpy() == pytest.approx([0.0], abs=0.02)


def test_a_network_that_embeds_everything_alike_finds_nothing_unknown():
    """A dead network has one embedding, and one score: in the middle, and not above all others."""
    dead = np.full((60, 8), 0.7)
    fitted = fit_unknown(dead, np.arange(60) % 2, dead)
    contract = Contract(image=ImageSpec(height_px=8, width_px=8), classes=CLASSES)
    given = tf.constant(dead[:3], tf.float32)
    result = reliability({}, {"embedding": given}, fitted, task_graph("single_label"), contract)
    assert result["unknown_percentile"].numpy() == pytest.approx([50] * 3, abs=1)


@pytest.mark.parametrize(("count", "size"), [(1, 8), (50, 1)])
def test_one_example_and_an_embedding_of_one_number_can_be_fitted(count, size):
    values = np.random.default_rng(6).normal(size=(count, size))
    fitted = fit_unknown(values, np.zeros(count, np.int64), values)
    assert np.isfinite(fitted.scores(values)).all()


def test_the_constants_stay_small():
    random = np.random.default_rng(3)
    labels = random.integers(0, 5, 300)
    fitted = fit_unknown(random.normal(size=(300, 256)), labels, np.ones((9, 256)))
    assert isinstance(fitted, UnknownScore)
    size = sum(4 * values.size for values in vars(fitted).values())
    assert size < 100_000


def fields(random, count):
    """Noise of two overlapping brightnesses: images and the index of their class."""
    labels = random.integers(0, 2, count)
    means = random.normal(100 + 40 * labels, 30)[:, None, None, None]
    noise = random.normal(0, 20, (count, SIDE_PX, SIDE_PX, 3))
    return np.clip(means + noise, 0, 255).astype(np.uint8), labels


def stripes(random, count):
    """Imagery of another kind, as bright as the other."""
    rows = 120 + 60 * np.sign(np.sin(np.arange(SIDE_PX) * random.uniform(0.5, 2, (count, 1))))
    return np.broadcast_to(rows[:, :, None, None], (count, SIDE_PX, SIDE_PX, 3)).astype(np.uint8)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A trained model whose answers carry their reliability."""
    root, random = tmp_path_factory.mktemp("fields"), np.random.default_rng(4)
    for split, count in (("train", 300), ("eval", 200)):
        (root / f"Split-{split}").mkdir()
        with tf.io.TFRecordWriter(str(root / f"Split-{split}" / "data-00000")) as writer:
            for image, label in zip(*fields(random, count), strict=True):
                writer.write(serialized({"image/encoded": png(image), "label": int(label)}))
    patterns = ((f"{root}/Split-{split}/*",) for split in ("train", "eval"))
    config = TrainConfig(
        model=SmallCnn(filters=(8, 16), augment=False), epochs=4, unknown=True, conformal=0.9
    )
    splits = Splits(*patterns, CLASSES, "single_label")
    image = ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX)
    trained = train(splits, image, config, f"{root}/logs", f"{root}/checkpoints")
    folder = root / "model"
    export(
        *(trained.model, trained.contract, str(folder)),
        embedded=trained.embedded,
        unknown=trained.unknown,
    )
    return folder


@pytest.mark.slow
def test_a_served_answer_tells_unknown_imagery_and_a_set_with_the_truth(model):
    random = np.random.default_rng(5)
    pixels, labels = fields(random, 300)
    known, unknown = (
        answer_in_process(model, {"serving_default": [png(it) for it in images]})["serving_default"]
        for images in (pixels, stripes(random, 100))
    )
    scores, doubts = (
        [np.array([value(it) for it in answers]) for answers in (known, unknown)]
        for value in (
            lambda it: it.reliability.unknown_score,
            lambda it: 1 - max(it.probabilities.values()),
        )
    )
    assert roc_auc(*scores) > 0.95
    assert roc_auc(*scores) > roc_auc(*doubts) + 0.1
    assert np.median([it.reliability.unknown_percentile for it in unknown]) > 99
    assert np.mean([it.reliability.unknown_percentile > 99 for it in known]) < 0.05
    inside = sum(
        CLASSES[label] in it.reliability.classes for it, label in zip(known, labels, strict=True)
    )
    # Calibrated on 200 and tried on 300, the coverage varies by both.
    low, high = 0.9 + np.array([-3, 3]) * (0.09 * (1 / 200 + 1 / 300)) ** 0.5
    assert low <= inside / 300 <= high
    assert {len(it.reliability.classes) for it in known} == {1, 2}
    contract = json.loads(Path(model, "assets.extra", "contract.json").read_text())
    assert contract["unknown"] == "by_class"
    assert ops_of(model) - KNOWN_OPS == set()
    assert (contract["conformal"]["level"], contract["conformal"]["examples"]) == (0.9, 200)
    assert disagreement(known, known, 1e-6) == ""
    sure = known[0].reliability
    other = replace(known[0], reliability=replace(sure, unknown_score=sure.unknown_score + 1e3))
    assert "image 0: its reliability has" in disagreement(known[:1], [other], 0.01)
