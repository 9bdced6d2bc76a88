"""Pictures after a training: answers beside truth, and confusions."""

import io
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from components.raster.image import ImageSpec
from serving.contract.contract import Contract
from trainer.board.cards import cards_of
from trainer.board.confusion import confusion, draw_confusion
from trainer.board.pictures import CONFUSION_FILE, PREDICTIONS_FILE, write_pictures
from trainer.board.predictions import predict_examples

SIDE = 16
CLASSES = ("dark", "bright")
IMAGE = ImageSpec(height_px=SIDE, width_px=SIDE)


def ints(*values: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def floats(*values: float) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def texts(*values: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(data, "PNG")
    return data.getvalue()


def write(path: Path, levels: list[int], **features) -> tuple[str]:
    """Examples of one grey level each, with features by example."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row, level in enumerate(levels):
            known = {"image/encoded": texts(png(np.full((SIDE, SIDE, 3), level)))}
            known |= {"image/height": ints(SIDE), "image/width": ints(SIDE)}
            known |= {name: values[row] for name, values in features.items()}
            example = tf.train.Example(features=tf.train.Features(feature=known))
            writer.write(example.SerializeToString())
    return (str(path),)


def judging_by_brightness(per_pixel: bool = False) -> keras.Model:
    """Logits of dark and bright: 0 and how far the level is above 100."""
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    grey = keras.layers.Rescaling(1.0, offset=-100.0)(pixels)
    level = keras.ops.mean(grey, axis=-1, keepdims=True)
    if not per_pixel:
        level = keras.layers.GlobalAveragePooling2D()(level)
    return keras.Model(pixels, keras.layers.Concatenate()([level * 0, level]))


@pytest.fixture
def single(tmp_path: Path) -> tuple[str]:
    return write(
        tmp_path / "examples", [50, 90, 150, 160, 200], label=[ints(it) for it in (0, 1, 1, 0, 1)]
    )


def test_the_confusion_is_that_of_truth_and_answer(single: tuple[str]) -> None:
    contract = Contract(image=IMAGE, classes=CLASSES)
    counts = confusion(predict_examples(judging_by_brightness(), contract, single, 2), contract)
    np.testing.assert_array_equal(counts, [[1, 1], [1, 2]])


def test_wrong_answers_are_framed_and_named(single: tuple[str]) -> None:
    contract = Contract(image=IMAGE, classes=CLASSES)
    cards = cards_of(list(predict_examples(judging_by_brightness(), contract, single, 8)), contract)
    assert [card.alarm for card in cards] == [False, True, False, True, False]
    assert cards[1].text == "bright: dark 1.00"
    assert cards[4].text == "bright 1.00"
    assert (cards[2].picture == 150).all()


def test_several_labels_tell_what_is_missing_and_what_is_too_much(tmp_path: Path) -> None:
    contract = Contract(image=IMAGE, task="multi_label", classes=CLASSES)
    files = write(tmp_path / "examples", [50, 160], labels=[ints(1), ints(0, 1)])
    cards = cards_of(list(predict_examples(judging_by_brightness(), contract, files, 8)), contract)
    # A logit of 0 is a probability of 1/2: dark counts as there in both.
    assert [card.text for card in cards] == ["+dark -bright", "dark bright"]
    assert [card.alarm for card in cards] == [True, False]


def test_masks_are_compared_where_there_is_truth(tmp_path: Path) -> None:
    mask = np.zeros((SIDE, SIDE))
    mask[:, 8:] = 1
    mask[:8] = 255
    contract = Contract(image=IMAGE, task="segmentation", classes=CLASSES)
    files = write(tmp_path / "examples", [200], **{"mask/encoded": [texts(png(mask))]})
    examples = list(predict_examples(judging_by_brightness(per_pixel=True), contract, files, 8))
    np.testing.assert_array_equal(confusion(examples, contract), [[0, 64], [0, 64]])
    truth, found = cards_of(examples, contract)
    assert found.text == "answer: 50% right"
    assert (truth.picture[:8] == 200).all(), "where nothing is known the image stays as it is"


def test_boxes_of_truth_and_answer_stand_side_by_side(tmp_path: Path) -> None:
    names = [f"object/bbox/{edge}" for edge in ("ymin", "xmin", "ymax", "xmax")]
    boxes = {name: [floats(edge)] for name, edge in zip(names, (2, 3, 9, 10), strict=True)}
    files = write(tmp_path / "examples", [80], **boxes, **{"object/label": [ints(1)]})
    contract = Contract(image=IMAGE, task="detection", classes=CLASSES)
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    edges = keras.layers.Lambda(
        lambda it: (
            tf.constant([[[1.0, 1, 5, 5], [0, 0, 16, 16]]]) + tf.zeros((tf.shape(it)[0], 1, 1))
        ),
        output_shape=(2, 4),
    )(pixels)
    labels = keras.layers.Lambda(
        lambda it: tf.zeros((tf.shape(it)[0], 2), tf.int32), output_shape=(2,), dtype="int32"
    )(pixels)
    scores = keras.layers.Lambda(
        lambda it: tf.constant([[0.9, 0.1]]) + tf.zeros((tf.shape(it)[0], 1)), output_shape=(2,)
    )(pixels)
    model = keras.Model(pixels, {"boxes": edges, "labels": labels, "scores": scores})
    examples = list(predict_examples(model, contract, files, 8))
    assert confusion(examples, contract) is None
    truth, found = cards_of(examples, contract)
    assert (truth.text, found.text) == ("truth: 1", "found: 1"), "what scores little is not drawn"
    changed = np.argwhere((truth.picture != 80).any(axis=-1))
    assert changed.min(0).tolist() == [2, 3]
    assert changed.max(0).tolist() == [8, 9]


def test_pictures_are_files_and_tensorboard_finds_them(single: tuple[str], tmp_path: Path) -> None:
    contract = Contract(image=IMAGE, classes=CLASSES)
    write_pictures(judging_by_brightness(), contract, single, str(tmp_path / "logs"), step=7)
    for name in (PREDICTIONS_FILE, CONFUSION_FILE):
        with Image.open(tmp_path / "logs" / name) as picture:
            assert picture.format == "PNG"
    events = EventAccumulator(str(tmp_path / "logs" / "validation"), {"tensors": 0})
    events.Reload()
    shown = {tag: events.Tensors(tag) for tag in events.Tags()["tensors"]}
    assert set(shown) == {"predictions", "confusion"}
    assert [event.step for event in shown["predictions"]] == [7]
    data = shown["confusion"][0].tensor_proto.string_val[2]
    assert Image.open(io.BytesIO(data)).size == Image.open(tmp_path / "logs" / CONFUSION_FILE).size


def test_many_classes_are_drawn_without_names() -> None:
    small = draw_confusion(np.eye(3, dtype=np.int64), ("a", "b", "c"))
    large = draw_confusion(np.eye(60, dtype=np.int64), tuple(map(str, range(60))))
    assert large.width > small.width
