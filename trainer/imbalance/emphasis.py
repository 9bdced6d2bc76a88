"""Derives the handling of rare classes from the configuration and the class counts."""

from dataclasses import dataclass, replace

from trainer.data.class_counts import ClassCounts
from trainer.imbalance.config import Imbalance, Weighting
from trainer.imbalance.weights import class_weights, positive_weights


@dataclass(frozen=True)
class Emphasis:
    """Relative weights of classes, examples and errors in the loss and the sampling.

    Attributes:
        soft: whether targets are shares of classes.
        gamma: exponent of the focal loss; None: cross-entropy.
        example_weights: weight of an example by its class.
        loss_weights: weights of the classes within the loss: of their presence, or their pixels.
        balance: counts of the classes, if sampling balances them.
    """

    soft: bool = False
    gamma: float | None = None
    example_weights: tuple[float, ...] | None = None
    loss_weights: tuple[float, ...] | None = None
    balance: tuple[int, ...] | None = None

    @property
    def class_weights(self) -> tuple[float, ...] | None:
        """The weights of the classes, wherever they apply."""
        return self.example_weights or self.loss_weights


def emphasis_of(
    weighting: Weighting | None, seen: ClassCounts | None, config: Imbalance, soft: bool = False
) -> Emphasis:
    """Returns the configured emphasis.

    Args:
        weighting: what the task applies class weights to.
        seen: counts in the train split; None for a task without classes.
        config: the requested handling.
        soft: whether targets are shares of classes.
    """
    if seen is None:
        return Emphasis(soft)
    emphasis = Emphasis(
        soft=soft,
        gamma=config.focal_gamma,
        balance=seen.counts if config.sampling == "balanced" else None,
    )
    if weighting == "presence":
        found = positive_weights(seen.counts, seen.examples, config)
        return replace(emphasis, loss_weights=found)
    weights = class_weights(seen.counts, config)
    if weighting == "pixels":
        return replace(emphasis, loss_weights=weights)
    return replace(emphasis, example_weights=weights)
