"""Explanations in the served graph: a planted mark is found, and the served answer is the same."""

import io
import json
import threading
import time
from collections import defaultdict

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from components.explanation.heat_maps import METHODS as METHODS_WITH_HEAT
from components.explanation.model import ExplainedModel
from components.explanation.training_examples import behind_answers, learnt_examples
from components.raster.image import ImageSpec
from pipelines.cli.explain import command
from pipelines.page.thumbnails import draw_examples
from serving.client import InvalidRequest, connect
from serving.client.explanation import explain_inputs, read_explanations
from serving.contract.contract import Contract, read_contract
from serving.contract.explanations import Explanations
from serving.contract.names import EXPLAIN_SIGNATURE
from serving.graph.explain import explain
from serving.tasks.graph import task_graph
from tests.components.models import serialized
from tests.serving.conftest import copy_version, wait_until
from tests.serving.graphs import KNOWN_OPS, ops_of
from trainer.data.examples import NumberSpread
from trainer.models.config import SmallCnn
from trainer.tasks.config import DetectionOptions, SegmentationOptions
from trainer.tasks.detection import Detection
from trainer.tasks.multi_label import MultiLabel
from trainer.tasks.network import build_network
from trainer.tasks.regression import Regression
from trainer.tasks.segmentation import Segmentation
from trainer.tasks.single_label import SingleLabel
from trainer.training.export import export

pytestmark = pytest.mark.slow

SIDE_PX, MARK_PX = 32, 6
CLASSES = ("plain", "marked")
SPEC = ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX)
EXPLANATIONS = Explanations(steps=32)
METHODS = ("integrated_gradients", "grad_cam")


def marked_images(count, seed):
    """Noise, and in every second image a bright square: pixels, and the corners of the squares."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 130, (count, SIDE_PX, SIDE_PX, 3)).astype(np.uint8)
    corners = random.integers(0, SIDE_PX - MARK_PX, (count, 2))
    for image, (top, left) in list(zip(pixels, corners, strict=True))[1::2]:
        image[top : top + MARK_PX, left : left + MARK_PX] = 255
    return pixels, corners


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def marked_records(path, count, seed):
    """A file of the same images as training examples."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, image in enumerate(marked_images(count, seed)[0]):
            key, label = f"image-{number:02d}".encode(), CLASSES[number % 2].encode()
            features = {"image/encoded": png(image), "image/key": key, "label/text": label}
            writer.write(serialized(features))


def network(seed=1):
    keras.utils.set_random_seed(seed)
    return build_network(SmallCnn(filters=(8, 16), dropout=0), SPEC, SingleLabel(CLASSES))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model that has learnt the mark, exported with explanations."""
    net = network()
    model = net.served()
    model.compile(
        keras.optimizers.Adam(5e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    pixels, _ = marked_images(256, seed=0)
    model.fit(pixels, np.arange(256) % 2, batch_size=32, epochs=8, verbose=0)
    contract = Contract(image=SPEC, classes=CLASSES, explanations=EXPLANATIONS)
    folder = tmp_path_factory.mktemp("marked") / "model"
    export(model, contract, str(folder), net.explainable())
    return folder


@pytest.fixture(scope="module")
def loaded(trained):
    return tf.saved_model.load(str(trained))


def explained(loaded, images, target=""):
    inputs = {name: tf.constant(it) for name, it in explain_inputs(images, target).items()}
    outputs = loaded.signatures[EXPLAIN_SIGNATURE](**inputs)
    found = {name: it.numpy() for name, it in outputs.items()}
    return read_explanations(found, len(images), None)


def share_in_mark(heat, corner, spare_px=3):
    """Of the hottest pixels, as many as the mark has, the share that lies at the mark."""
    top, left = np.maximum(corner - spare_px, 0)
    inside = np.zeros(heat.shape, bool)
    inside[top : corner[0] + MARK_PX + spare_px, left : corner[1] + MARK_PX + spare_px] = True
    hottest = np.argsort(heat, axis=None)[-(MARK_PX**2) :]
    return inside.ravel()[hottest].mean()


@pytest.mark.parametrize("method", METHODS)
def test_a_planted_mark_is_found(loaded, method):
    pixels, corners = marked_images(16, seed=5)
    answers = explained(loaded, [png(image) for image in pixels[1::2]], "marked")
    shares = [
        share_in_mark(answer.heats[method], corner)
        for answer, corner in zip(answers, corners[1::2], strict=True)
    ]
    assert np.mean(shares) > 0.8, shares  # by chance a tenth


def test_the_attributions_add_up_to_the_score_less_that_of_the_baseline(loaded):
    pixels, _ = marked_images(16, seed=6)
    answers = explained(loaded, [png(image) for image in pixels])
    assert np.mean([answer.completeness_gap for answer in answers]) < 0.02
    assert np.ptp([answer.score for answer in answers]) > 1


def test_a_model_with_random_weights_explains_otherwise(loaded):
    """The sanity check of Adebayo et al. (2018, arXiv 1810.03292)."""
    pixels = marked_images(16, seed=8)[0][1::2]
    ours = explained(loaded, [png(image) for image in pixels], "marked")
    contract = Contract(image=SPEC, classes=CLASSES, explanations=EXPLANATIONS)
    model = network(seed=7).explainable().graph()
    target = tf.constant(["marked"] * len(pixels))
    outputs = explain(model, pixels, target, task_graph("single_label"), contract, EXPLANATIONS)
    found = {name: it.numpy() for name, it in outputs.items()}
    theirs = read_explanations(found, len(pixels), None)
    for method in METHODS:
        alike = [
            np.corrcoef(mine.heats[method].ravel(), other.heats[method].ravel())[0, 1]
            for mine, other in zip(ours, theirs, strict=True)
        ]
        assert np.mean(np.nan_to_num(alike)) < 0.8, (method, alike)  # none where a map is empty


def test_a_target_that_is_no_class_is_refused_by_name(loaded):
    images = [png(marked_images(1, seed=0)[0][0])]
    assert explained(loaded, images, "plain")[0].explained == "plain"
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"unknown_target: sea; .*\(.*plain"):
        explained(loaded, images, "sea")


def test_each_method_finds_the_mark_and_a_sheet_shows_it(trained, tmp_path):
    pixels, corners = marked_images(16, seed=5)
    model = ExplainedModel(trained)
    for name, method in METHODS_WITH_HEAT.items():
        found = [method(model, png(image), "marked") for image in pixels[1:8:2]]
        assert {it.explained for it in found} == {"marked"}
        for of_method in found[0].heats:
            pairs = zip(found, corners[1:8:2], strict=True)
            shares = [share_in_mark(it.heats[of_method], corner) for it, corner in pairs]
            assert np.mean(shares) > 0.6, (name, shares)
    file = tmp_path / "marked.png"
    file.write_bytes(png(pixels[1]))
    arguments = [str(file), "-o", str(tmp_path / "out"), "--model-base", str(trained), "--json"]
    done = CliRunner().invoke(command, [*arguments, "--method", "occlusion"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["explained"] == "marked"
    assert result["score"] > 0.9
    sheet = Image.open(result["files"]["occlusion"])
    assert sheet.size == (2 * 320 + 14 + 60, 320 + 40)


@pytest.fixture(scope="module")
def random_models(tmp_path_factory):
    """Models of the same network that have learnt nothing.

    One of them may well take the brightest part of an image for evidence, but not each.
    """
    models = []
    for seed in (7, 10):
        net = network(seed)
        contract = Contract(image=SPEC, classes=CLASSES, explanations=EXPLANATIONS)
        folder = tmp_path_factory.mktemp("random") / "model"
        export(net.served(), contract, str(folder), net.explainable())
        models.append(ExplainedModel(folder))
    return models


@pytest.mark.parametrize("name", METHODS_WITH_HEAT)
def test_each_method_explains_models_with_random_weights_otherwise(trained, random_models, name):
    method, alike = METHODS_WITH_HEAT[name], defaultdict(list)
    for image in marked_images(4, seed=8)[0][1::2]:
        ours = method(ExplainedModel(trained), png(image), "marked").heats
        for model in random_models:
            for of_method, heat in method(model, png(image), "marked").heats.items():
                pair = np.corrcoef(ours[of_method].ravel(), heat.ravel())
                alike[of_method].append(pair[0, 1])
    for of_method, found in alike.items():
        assert np.mean(np.nan_to_num(found)) < 0.8, (of_method, found)  # none: a map is empty


def test_other_training_examples_are_behind_an_answer_of_random_weights(
    trained, random_models, tmp_path
):
    marked_records(tmp_path / "data-00000", 32, seed=11)
    asked = [png(marked_images(2, seed=12)[0][1])]
    keys = []
    for model in (ExplainedModel(trained), random_models[0]):
        learnt = learnt_examples(model, str(tmp_path / "data-*"))
        [behind] = behind_answers(model, learnt, asked, count=8)
        keys.append({it.key for it in behind.proponents})
    assert len(keys[0] & keys[1]) < 6, "of eight proponents"


def test_the_training_examples_behind_an_answer_are_of_its_kind(trained, tmp_path):
    marked_records(tmp_path / "data-00000", 32, seed=11)
    asked = [png(image) for image in marked_images(2, seed=12)[0]]
    model = ExplainedModel(trained)
    found = behind_answers(model, learnt_examples(model, str(tmp_path / "data-*")), asked, count=20)
    for behind, own, other in zip(found, CLASSES, CLASSES[::-1], strict=True):
        assert behind.answer == own
        assert {it.label for it in behind.proponents} == {own}
        assert {it.label for it in behind.opponents} == {other}
        # Of 16 images of each class, none is listed on the wrong side to make up the number.
        assert all(it.value > 0 for it in behind.proponents)
        assert all(it.value < 0 for it in behind.opponents)
    file = tmp_path / "asked.png"
    file.write_bytes(asked[1])
    arguments = [str(file), "-o", str(tmp_path / "out"), "--model-base", str(trained), "--json"]
    arguments += ["--method", "tracin", "--examples", str(tmp_path / "data-*")]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])
    assert [it["key"] for it in result["proponents"]] == [it.key for it in found[1].proponents[:7]]


def test_every_op_is_one_that_stock_tensorflow_serving_has(trained):
    assert ops_of(trained) <= KNOWN_OPS


def test_predictions_do_not_wait_for_explanations(trained, tmp_path, serve):
    (tmp_path / "m").mkdir()
    copy_version(trained, tmp_path / "m", 1)
    server = serve(tmp_path / "m", explain_batch_size=1, max_explain_rows=8)
    images = [png(image) for image in marked_images(8, seed=9)[0]]
    with connect(server.rest, model="m") as client:
        wait_until(lambda: client.served_version() == 1)
        [over_rest] = client.explain(images[1:2])
        [here] = ExplainedModel(trained).explain(images[1:2])
        assert (over_rest.explained, here.explained) == ("marked", "marked")
        assert over_rest.score == pytest.approx(here.score, rel=1e-6)
        np.testing.assert_array_equal(over_rest.heats["grad_cam"], here.heats["grad_cam"])
    with connect(server.grpc, model="m") as client:
        wait_until(lambda: client.served_version() == 1)
        client.predict(images[:1])
        client.predict_raw(explain_inputs(images[:1], ""), signature=EXPLAIN_SIGNATURE)
        ended = {}

        def ask_for_explanations():
            client.predict_raw(explain_inputs(images, ""), signature=EXPLAIN_SIGNATURE)
            ended["explanations"] = time.monotonic()

        asking = threading.Thread(target=ask_for_explanations)
        asking.start()
        for image in images[:3]:
            client.predict([image])
        ended["predictions"] = time.monotonic()
        asking.join()
        assert ended["predictions"] < ended["explanations"]
        too_many = explain_inputs([*images, images[0]], "")
        with pytest.raises(InvalidRequest, match=r"9 is larger .* 8 .*max_explain_rows"):
            client.predict_raw(too_many, signature=EXPLAIN_SIGNATURE)


OBJECTIVES = {
    "multi_label": MultiLabel(CLASSES, threshold=0.5),
    "regression": Regression(NumberSpread(examples=4, mean=10.0, stddev=2.0), "mse"),
    "segmentation": Segmentation(CLASSES, SegmentationOptions()),
    "detection": Detection(CLASSES, DetectionOptions(filters=8, depth=1, min_score=0.001), SPEC),
}


@pytest.mark.parametrize("task", OBJECTIVES)
def test_each_task_explains_its_own_answer(task):
    keras.utils.set_random_seed(3)
    classes = () if task == "regression" else CLASSES
    net = build_network(SmallCnn(filters=(8, 16, 16), dropout=0), SPEC, OBJECTIVES[task])
    contract = Contract(task=task, image=SPEC, classes=classes, explanations=EXPLANATIONS)
    pixels = marked_images(2, seed=1)[0]
    outputs = net.trained()(pixels, training=False).numpy()
    found = net.served()(pixels, training=False)

    def explained(target):
        arguments = (tf.constant([target] * 2), task_graph(task), contract, EXPLANATIONS)
        answer = explain(net.explainable().graph(), pixels, *arguments)
        return read_explanations({name: it.numpy() for name, it in answer.items()}, 2, None)

    if task == "multi_label":
        wanted = {"": (CLASSES, outputs.max(axis=1)), "plain": (CLASSES, outputs[:, 0])}
    elif task == "regression":
        wanted = {"": (("value",), outputs[:, 0])}
    elif task == "segmentation":
        own = outputs.argmax(axis=-1) == 1
        means = [logits[..., 1][mask].mean() for logits, mask in zip(outputs, own, strict=True)]
        wanted = {"marked": (("marked",), means)}
    else:
        scores = found["scores"].numpy()
        wanted = {target: (CLASSES, logit(scores[:, place])) for target, place in PLACES.items()}
    for target, (names, scores) in wanted.items():
        for answer, score in zip(explained(target), scores, strict=True):
            assert answer.explained in names
            assert answer.score == pytest.approx(score, rel=1e-3, abs=1e-4)
            assert answer.heats["integrated_gradients"].shape == (SIDE_PX, SIDE_PX)
            assert answer.heats["integrated_gradients"].max() == 1
            difference = answer.score - answer.baseline_score
            assert answer.attribution_sum == pytest.approx(difference, rel=0.05, abs=0.02)


PLACES = {"": 0, "#0": 0, "#2": 2}


def logit(probabilities):
    return np.log(probabilities / (1 - probabilities))


def test_the_page_of_a_run_shows_why_a_mistake_was_made(trained):
    pixels, _ = marked_images(2, seed=9)
    examples = {
        key: serialized({"image/encoded": png(image), "image/key": key.encode()})
        for key, image in zip(("mistake", "other"), pixels, strict=True)
    }
    drawn = draw_examples(examples, read_contract(trained), str(trained), explained={"mistake"})
    assert [it.caption for it in drawn["other"]] == ["image"]
    assert [it.caption for it in drawn["mistake"]] == ["image", "why plain"]
