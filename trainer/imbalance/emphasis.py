"""From the configuration and the counts to what a training does about rare classes."""

from dataclasses import dataclass, replace

from components.raster.task import Task
from trainer.data.class_counts import ClassCounts
from trainer.imbalance.config import Imbalance
from trainer.imbalance.weights import class_weights, positive_weights


@dataclass(frozen=True)
class Emphasis:
    """What counts how much.

    Attributes:
        soft: whether targets are shares of classes.
        gamma: of the focal loss; None: cross-entropy.
        positive: of several labels, how much the presence of each class counts.
        weights: of the classes, where each example has one.
        pixels: of the classes of pixels.
        balance: counts of the classes, if they are to come equally often.
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
    """What the configuration asks for, given what is seen in the train split (None: no classes)."""
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
