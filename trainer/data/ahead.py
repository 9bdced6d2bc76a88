"""Data sets that work ahead of training by fixed amounts.

TensorFlow can tune these amounts itself, but now and then its tuning thread misses that a data set
is no longer in use. The data set's destruction then waits for the thread's next turn, for up to a
minute (TensorFlow 2.21, the destructor of RootDataset's iterator). Without the tuning, training
waits no longer for data (`benchmarks.input_pipeline`).
"""

import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

_CALLS = os.cpu_count() or 1
_BATCHES = 4


def untuned(data: tf.data.Dataset) -> tf.data.Dataset:
    """Turns off TensorFlow's tuning of a data set and of those that it is made from."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def mapped(data: tf.data.Dataset, function: Callable[..., Any]) -> tf.data.Dataset:
    """Maps batches on all cores, in order."""
    return data.map(function, num_parallel_calls=_CALLS, deterministic=True)


def ahead(data: tf.data.Dataset) -> tf.data.Dataset:
    """Prefetches some batches."""
    return untuned(data.prefetch(_BATCHES))
