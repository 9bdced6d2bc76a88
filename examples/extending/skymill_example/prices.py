"""Prices of confusions, which the loss, the metrics and the gate share."""

from collections.abc import Mapping, Sequence

import numpy as np


def price_table(prices: Mapping[str, float], classes: Sequence[str]) -> np.ndarray:
    """Returns the price of each confusion, [K, K], true class by predicted one; 1 by default.

    Args:
        prices: by "true>predicted", the names of two classes.
    """
    table = 1.0 - np.eye(len(classes), dtype=np.float32)
    for pair, price in prices.items():
        true, _, predicted = pair.partition(">")
        table[classes.index(true), classes.index(predicted)] = price
    return table
