"""Class weights from class frequencies (pure)."""

from collections.abc import Sequence

import numpy as np

from trainer.imbalance.config import Imbalance


def class_weights(counts: Sequence[int], config: Imbalance) -> tuple[float, ...] | None:
    """Returns a weight for each class, of mean 1 over all examples; None without weighting.

    `inverse` is N / (K n) for K classes of n among N examples. `effective` is (1 - beta) /
    (1 - beta^n), scaled likewise (Cui et al. 2019, equation 4). A class that is never seen
    is weighted as if it were seen once.
    """
    if config.class_weights == "none":
        return None
    seen = np.array(counts, np.float64)
    at_least = np.maximum(seen, 1)
    if config.class_weights == "inverse":
        raw = 1 / at_least
    else:
        raw = (1 - config.beta) / -np.expm1(at_least * np.log(config.beta))
    raw = np.minimum(raw, config.most_weight * raw.min())
    scaled = raw * seen.sum() / max(float(seen @ raw), np.finfo(float).tiny)
    return tuple(float(weight) for weight in scaled)


def positive_weights(
    counts: Sequence[int], examples: int, config: Imbalance
) -> tuple[float, ...] | None:
    """Returns the weight of each class's presence, relative to absence; None without weighting.

    `inverse` is absent / present, so that both halves have the same weight. `effective` takes the
    effective numbers of both. Weights are at least 1 and at most `most_weight`.
    """
    if config.class_weights == "none":
        return None
    present = np.maximum(np.array(counts, np.float64), 1)
    absent = np.maximum(examples - present, 1)
    if config.class_weights == "effective":
        present, absent = (-np.expm1(many * np.log(config.beta)) for many in (present, absent))
    found = np.clip(absent / present, 1.0, config.most_weight)
    return tuple(float(weight) for weight in found)
