import numpy as np
import tensorflow as tf

from trainer.imbalance.sampling import copies, shares

COUNTS = (70, 20, 10, 0)


def labels():
    return np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS)).astype(np.int64)


def drawn(parts, offset):
    """How often each example comes, in parts as a stream would ask."""
    before = tf.zeros(4, tf.int64)
    found = []
    for part in np.array_split(labels(), parts):
        many, before = copies(tf.constant(part), before, shares(COUNTS), tf.constant(offset))
        found.append(many.numpy())
    assert before.numpy().tolist() == list(COUNTS)
    return np.concatenate(found)


def test_each_class_that_has_examples_comes_equally_often():
    for offset in np.random.default_rng(1).random((20, 4)):
        many = drawn(1, offset)
        per_class = np.bincount(labels(), weights=many, minlength=4)
        assert (abs(per_class[:3] - 100 / 3) <= 1).all()
        assert per_class[3] == 0


def test_the_examples_of_a_class_come_as_evenly_as_they_can():
    many = drawn(1, np.full(4, 0.3))
    assert set(many[labels() == 0]) == {0, 1}  # 33 of 70
    assert set(many[labels() == 1]) == {1, 2}
    assert set(many[labels() == 2]) == {3, 4}


def test_a_stream_gets_the_same_as_all_at_once():
    offset = np.random.default_rng(3).random(4)
    assert np.array_equal(drawn(7, offset), drawn(1, offset))


def test_other_offsets_choose_other_examples():
    """Whoever is left out of one epoch has a turn in another."""
    chosen = [drawn(1, offset) for offset in np.random.default_rng(1).random((30, 4))]
    assert (np.sum(chosen, axis=0) > 0).all()
