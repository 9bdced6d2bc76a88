import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.raster.errors import DataError
from tests.trainer.conftest import CLASSES, COUNTS, SIDE_PX, toy_example, write_examples
from tests.trainer.objectives import of_classes
from trainer.data.dataset import InMemory, Streamed, open_source
from trainer.data.examples import class_names, count_labels, list_files
from trainer.tasks.single_label import SingleLabel

BATCH = 8
STEPS = COUNTS["train"] // BATCH


@pytest.fixture(scope="module", params=["memory", "streamed"])
def source(request, pattern, image_spec):
    limit = {"memory": None, "streamed": 0}[request.param]
    return open_source(
        list_files([pattern("train")]), COUNTS["train"], image_spec, of_classes(2), limit, 16
    )


def epochs(source, count, seed=0, first_epoch=0):
    """The inputs of each epoch, flat, one row an example."""
    batches = source.epochs(BATCH, seed, first_epoch).take(count * STEPS)
    rows = np.concatenate([inputs.numpy() for inputs, _ in batches])
    return rows.reshape(count, STEPS * BATCH, -1)


def test_the_limit_decides_between_memory_and_stream(pattern, image_spec):
    files = list_files([pattern("train")])
    size = COUNTS["train"] * (SIDE_PX * SIDE_PX * 3 + 8)  # pixels, and a label of 64 bits
    assert isinstance(
        open_source(files, COUNTS["train"], image_spec, of_classes(2), size, 16), InMemory
    )
    assert isinstance(
        open_source(files, COUNTS["train"], image_spec, of_classes(2), size - 1, 16), Streamed
    )


def test_an_epoch_holds_every_example_once_in_an_order_of_its_own(source):
    ordered = np.concatenate([inputs.numpy() for inputs, _ in source.once(5)])
    expected = sorted(map(bytes, ordered))
    first, second = epochs(source, 2)
    assert sorted(map(bytes, first)) == sorted(map(bytes, second)) == expected
    assert not np.array_equal(first, second)


def test_the_order_depends_on_the_seed_and_the_epoch_alone(source):
    *_, third = epochs(source, 3, seed=7)
    assert np.array_equal(third, epochs(source, 1, seed=7, first_epoch=2)[0])
    assert not np.array_equal(third, epochs(source, 1, seed=8, first_epoch=2)[0])


def test_the_order_is_the_same_under_any_global_seed(source):
    """A training sets it to its own seed, which may be 0."""
    keras.utils.set_random_seed(0)
    first = epochs(source, 1)
    keras.utils.set_random_seed(5)
    assert np.array_equal(first, epochs(source, 1))


def test_labels_stay_with_their_images(source):
    for inputs, labels in source.epochs(BATCH, 0).take(STEPS):
        brightest_band = inputs.numpy().mean(axis=(1, 2)).argmax(axis=1)
        assert np.array_equal(labels, 2 - brightest_band)


def test_shapes_and_types_are_static(source):
    inputs, labels = source.epochs(BATCH, 0).element_spec
    assert (inputs.shape, inputs.dtype) == ((BATCH, SIDE_PX, SIDE_PX, 3), tf.uint8)
    assert (labels.shape, labels.dtype) == ((BATCH,), tf.int64)


def test_one_pass_keeps_the_small_last_batch(source):
    assert [len(labels) for _, labels in source.once(20)] == [20, 12]
    assert [len(labels) for _, labels in source.once(20, multiple_of=5)] == [20, 10]


def test_labels_are_counted_by_class(pattern):
    assert count_labels(list_files([pattern("train")]), 2) == (16, 16)


def test_a_label_without_a_name_is_an_error(pattern):
    with pytest.raises(DataError, match=r"reach from 0 to 1, but classes\.json names 1"):
        count_labels(list_files([pattern("train")]), 1)


def test_a_broken_file_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "data-00000-of-00001.tfrecord"
    path.write_bytes(b"no records at all in here")
    with pytest.raises(DataError, match=path.name):
        count_labels([str(path)], 2)


def test_a_split_without_files_or_examples_is_an_error(tmp_path):
    with pytest.raises(DataError, match="No example files match"):
        list_files([str(tmp_path / "Split-train" / "*")])
    empty = tmp_path / "data-00000-of-00001.tfrecord"
    empty.write_bytes(b"")
    with pytest.raises(DataError, match="hold no example"):
        count_labels([str(empty)], 2)


def test_class_names_come_in_the_order_of_the_labels(examples_root):
    assert class_names([str(examples_root)]) == CLASSES  # which is not the alphabet's order


def test_artifacts_with_other_classes_do_not_mix(examples_root, tmp_path):
    other = write_examples(tmp_path / "other", ("forest", "water"))
    with pytest.raises(DataError, match="train on examples with the same classes"):
        class_names([str(examples_root), str(other)])


@pytest.mark.parametrize("content", [None, "{", json.dumps({"water": 0}), "[]"])
def test_a_missing_or_odd_list_of_classes_is_an_error(tmp_path, content):
    if content is not None:
        (tmp_path / "classes.json").write_text(content)
    with pytest.raises(DataError, match=r"classes\.json"):
        class_names([str(tmp_path)])


RARE = {0: 26, 1: 6}  # how many of the toy's examples get which label


@pytest.fixture
def skewed(tmp_path):
    """Examples of which one class has few, each image full of its own number."""
    path = tmp_path / "data-00000-of-00001.tfrecord"
    labels = np.random.default_rng(0).permutation(np.repeat(list(RARE), list(RARE.values())))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, label in enumerate(labels):
            image = np.full((SIDE_PX, SIDE_PX, 3), number, np.uint8)
            encoded = bytes(tf.io.encode_png(image).numpy())
            writer.write(toy_example(encoded, int(label), CLASSES[label]).SerializeToString())
    return (str(path),)


@pytest.mark.parametrize(
    ("limit", "soft"), [(None, False), (0, True)], ids=["memory-indices", "streamed-shares"]
)
def test_balanced_epochs_hold_each_class_equally_often(skewed, image_spec, limit, soft):
    objective = SingleLabel(CLASSES, soft=soft)
    counts = tuple(RARE.values())
    source = open_source(skewed, 32, image_spec, objective, limit, 64, balance=counts)

    def numbers_and_labels(count, first_epoch=0):
        batches = list(source.epochs(BATCH, 5, first_epoch).take(count * STEPS))
        numbers = np.concatenate([inputs[:, 0, 0, 0] for inputs, _ in batches])
        targets = np.concatenate([targets for _, targets in batches])
        labels = targets.argmax(axis=1) if soft else targets
        return list(zip(numbers.reshape(count, -1), labels.reshape(count, -1), strict=True))

    seen = numbers_and_labels(3)
    for numbers, labels in seen:
        assert abs(np.bincount(labels, minlength=2) - 16).max() <= 2
        often = np.bincount(numbers[labels == 0], minlength=32)
        assert often.max() == 1  # 16 of 26: nobody twice before all have had a turn
        assert set(np.bincount(numbers[labels == 1], minlength=32)) <= {0, 1, 2, 3, 4}
    assert not np.array_equal(seen[0][0], seen[1][0])
    assert np.array_equal(seen[2][0], numbers_and_labels(1, first_epoch=2)[0][0])


def test_a_large_batch_is_decoded_in_parts(pattern, image_spec):
    many = list_files([pattern("train")]) * 12
    source = Streamed(many, 12 * COUNTS["train"], image_spec, of_classes(2), 16)
    (inputs, labels), *_ = source.epochs(192, 0).take(1)
    assert (inputs.shape, labels.shape) == ((192, SIDE_PX, SIDE_PX, 3), (192,))
    assert [len(labels) for _, labels in source.once(256)] == [256, 128]
