"""The served contract, asked through the SavedModel as TensorFlow alone loads it."""

import io
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from components.raster.errors import DataError
from components.raster.image import ImageSpec
from serving.contract.contract import Contract, read_contract
from serving.graph.decode import decode_images
from tests.serving.graphs import KNOWN_OPS, graphs_of, ops_of
from trainer.tasks.network import build_network
from trainer.tasks.single_label import SingleLabel
from trainer.training.config import Backbone, SmallCnn
from trainer.training.export import export

CLASSES = ("sea", "forest", "crop")
SPEC = ImageSpec(height_px=32, width_px=32, fit="crop")

MODELS = {
    "small_cnn": SmallCnn(filters=(4, 8)),
    "backbone": Backbone(name="MobileNet", arguments={"alpha": 0.25}, weights=None),
}


@pytest.fixture(
    scope="module", params=["small_cnn", pytest.param("backbone", marks=pytest.mark.slow)]
)
def exported(request, tmp_path_factory):
    """A model (pixels to logits) and the folder that it was exported to."""
    keras.utils.set_random_seed(2)
    model = build_network(MODELS[request.param], SPEC, SingleLabel(CLASSES)).served()
    gain = 4 if request.param == "backbone" else 1  # fresh, it would answer the same to any image
    for variable in model.variables:
        if variable.path.endswith("gamma"):
            variable.assign(variable * gain)
    folder = tmp_path_factory.mktemp(request.param) / "model"
    export(model, Contract(image=SPEC, classes=CLASSES), str(folder))
    return model, folder


@pytest.fixture(scope="module")
def loaded(exported):
    """The exported model as TensorFlow alone loads it."""
    return tf.saved_model.load(exported[1])


@pytest.fixture(scope="module")
def images():
    """Files as users have them: JPEG and PNG, gray and colour, of several shapes."""
    random = np.random.default_rng(0)
    files = []
    for shape, kind in [((32, 32, 3), "PNG"), ((40, 70, 3), "JPEG"), ((20, 20), "PNG")]:
        pixels = random.integers(0, 256, shape).astype(np.uint8)
        files.append(encoded(Image.fromarray(pixels), kind))
    return files


def encoded(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def examples_of(files):
    """Serialized examples that hold an image and, as ingest writes them, more than is asked for."""
    for file in files:
        features = {"image/encoded": file, "label/text": b"sea"}
        yield tf.train.Example(
            features=tf.train.Features(
                feature={
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                    for name, value in features.items()
                }
            )
        ).SerializeToString()


def test_the_signatures_are_those_of_the_contract(loaded):
    signatures = loaded.signatures
    names = {"serving_default", "serving_examples", "serving_contract", "serving_pixels"}
    assert set(signatures) == names
    for name, key in [("serving_default", "image_bytes"), ("serving_examples", "examples")]:
        (positional, keyword) = signatures[name].structured_input_signature
        assert positional == ()
        assert {key: (spec.shape.as_list(), spec.dtype) for key, spec in keyword.items()} == {
            key: ([None], tf.string)
        }
        outputs = signatures[name].structured_outputs
        assert {key: spec.dtype for key, spec in outputs.items()} == {
            "class": tf.string,
            "probabilities": tf.float32,
            "classes": tf.string,
        }


def test_the_answer_is_the_models_on_the_decoded_pixels(exported, loaded, images):
    model, _ = exported
    answer = loaded.signatures["serving_default"](image_bytes=tf.constant(images))
    logits = model(decode_images(tf.constant(images), SPEC), training=False).numpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
    np.testing.assert_allclose(np.sum(answer["probabilities"], axis=1), 1, atol=1e-6)
    assert np.ptp(expected, axis=0).max() > 1e-3
    named = [CLASSES[index].encode() for index in expected.argmax(axis=1)]
    assert answer["class"].numpy().tolist() == named
    assert answer["classes"].numpy().tolist() == [[name.encode() for name in CLASSES]] * 3


def test_both_signatures_answer_the_same(loaded, images):
    signatures = loaded.signatures
    by_bytes = signatures["serving_default"](image_bytes=tf.constant(images))
    by_example = signatures["serving_examples"](examples=tf.constant(list(examples_of(images))))
    assert set(by_bytes) == set(by_example)
    for name in by_bytes:
        assert np.array_equal(by_bytes[name], by_example[name]), name


def test_the_batch_does_not_change_an_answer(loaded, images):
    ask = loaded.signatures["serving_default"]
    together = ask(image_bytes=tf.constant(images))["probabilities"].numpy()
    alone = [ask(image_bytes=tf.constant([file]))["probabilities"].numpy()[0] for file in images]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert ask(image_bytes=tf.constant([], tf.string))["probabilities"].shape == (0, 3)


def test_bytes_that_are_no_image_are_refused_by_name(loaded):
    ask = loaded.signatures["serving_default"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="unsupported_format"):
        ask(image_bytes=tf.constant([b"GIF89a, say, or any other bytes"]))


def test_every_op_is_one_that_stock_tensorflow_serving_has(exported):
    _, folder = exported
    unknown = ops_of(folder) - KNOWN_OPS
    assert not unknown, (
        f"not in TensorFlow 2.19, which TensorFlow Serving 2.19 is built on: {unknown}"
    )


def test_no_function_asks_for_xla(exported):
    _, folder = exported
    for graph in graphs_of(folder):
        for function in graph.library.function:
            assert not function.attr["_XlaMustCompile"].b
    assert not [op for op in ops_of(folder) if "Xla" in op]


def test_nothing_random_is_served(exported):
    _, folder = exported
    assert not [op for op in ops_of(folder) if "Random" in op]


@pytest.mark.slow
def test_it_loads_where_keras_cannot_be_imported(exported, images, tmp_path):
    model, folder = exported
    (tmp_path / "image").write_bytes(images[0])
    program = (
        "import sys; sys.modules.update(keras=None, tf_keras=None)\n"
        "import tensorflow as tf\n"
        "ask = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "image = tf.io.read_file(sys.argv[2])\n"
        "print(ask(image_bytes=image[tf.newaxis])['class'].numpy()[0].decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(tmp_path / "image")],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr
    expected = CLASSES[int(np.argmax(model(decode_images(tf.constant(images[:1]), SPEC))))]
    assert done.stdout.split()[-1] == expected


def test_the_contract_lies_with_the_model(exported):
    _, folder = exported
    contract = read_contract(folder)
    assert (contract.image, contract.classes) == (SPEC, CLASSES)
    assert contract.signatures == {"serving_default": "image_bytes", "serving_examples": "examples"}
    assert contract.outputs == ("class", "probabilities", "classes")
    ask = tf.saved_model.load(folder).signatures["serving_contract"]
    answers = ask(request=tf.constant([b"", b"what?"]))["contract"].numpy().tolist()
    assert [Contract.model_validate_json(answer) for answer in answers] == [contract, contract]


@pytest.mark.parametrize("text", [None, "{}", "no JSON"])
def test_a_folder_without_a_contract_is_reported(tmp_path, text):
    if text is not None:
        (tmp_path / "assets.extra").mkdir()
        (tmp_path / "assets.extra" / "contract.json").write_text(text)
    with pytest.raises(DataError, match=r"contract\.json is not a contract"):
        read_contract(tmp_path)
