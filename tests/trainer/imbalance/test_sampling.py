import numpy as np
import tensorflow as tf

from trainer.data.sampling import Balancing

COUNTS = (70, 20, 10, 0)


def labels():
    return np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS)).astype(np.int64)


def drawn(parts, epoch):
    """Counts how often each example occurs, in parts as a stream would ask."""
    balancing = Balancing(COUNTS, tf.constant([0, epoch]))
    before = balancing.nothing_before()
    found = []
    for part in np.array_split(labels(), parts):
        many, before = balancing.copies(tf.constant(part), before)
        found.append(many.numpy())
    assert before.numpy().tolist() == list(COUNTS)
    return np.concatenate(found)


def test_each_class_that_has_examples_comes_equally_often():
    for epoch in range(20):
        per_class = np.bincount(labels(), weights=drawn(1, epoch), minlength=4)
        assert (abs(per_class[:3] - 100 / 3) <= 1).all()
        assert per_class[3] == 0


def test_the_examples_of_a_class_come_as_evenly_as_they_can():
    many = drawn(1, 5)
    assert set(many[labels() == 0]) == {0, 1}  # 33 of 70
    assert set(many[labels() == 1]) == {1, 2}
    assert set(many[labels() == 2]) == {3, 4}


def test_a_stream_gets_the_same_as_all_at_once():
    assert np.array_equal(drawn(7, 3), drawn(1, 3))


def test_other_epochs_choose_other_examples():
    """Examples that are left out of one epoch occur in another."""
    assert (np.sum([drawn(1, epoch) for epoch in range(30)], axis=0) > 0).all()
