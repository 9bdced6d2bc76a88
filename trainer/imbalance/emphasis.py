"""Derives the handling of rare classes from the configuration and the class counts."""

from dataclasses import dataclass, replace

from components.raster.task import Task
from trainer.data.class_counts import ClassCounts
from trainer.imbalance.config import Imbalance
from trainer.imbalance.weights import class_weights, positive_weights


@dataclass(frozen=True)
class Emphasis:
    """Relative weights of classes, examples and errors in the loss and the sampling.

    Attributes:
        soft: whether targets are shares of classes.
        gamma: exponent of the focal loss; None: cross-entropy.
        positive: weight of the presence of each class, for several labels.
        weights: weights of the classes, where each example has one.
        pixels: weights of the classes of pixels.
        balance: counts of the classes, if sampling balances them.
    """

    soft: bool = False
    gamma: float | None = None
    positive: tuple[float, ...] | None = None
    weights: tuple[float, ...] | None = None
    pixels: tuple[float, ...] | None = None
    balance: tuple[int, ...] | None = None


def emphasis_of(
    task: Task, seen: ClassCounts | None, config: Imbalance, soft: bool = False
) -> Emphasis:
    """Returns the configured emphasis, given the train split's counts (None: no classes)."""
    if seen is None:
        return Emphasis(soft)
    emphasis = Emphasis(
        soft=soft,
        gamma=config.focal_gamma,
        balance=seen.counts if config.sampling == "balanced" else None,
    )
    if task == "multi_label":
        found = positive_weights(seen.counts, seen.examples, config)
        return replace(emphasis, positive=found)
    weights = class_weights(seen.counts, config)
    if task == "segmentation":
        return replace(emphasis, pixels=weights)
    return replace(emphasis, weights=weights)
