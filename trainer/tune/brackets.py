"""How many trials Hyperband runs, and for how long."""

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Round:
    """So many trials of a bracket, each trained up to so many epochs."""

    bracket: int
    trials: int
    epochs: int


def hyperband_rounds(epochs: int, factor: int) -> Iterator[Round]:
    """The rounds of one iteration in the order in which they begin.

    As KerasTuner's oracle cuts them, after Li et al. 2018 (JMLR 18): bracket s begins with many
    trials of epochs / factor^s, and in every round one of `factor` goes on for as many times.

    Args:
        epochs: of the trials that come to the end.
        factor: at least 2.
    """
    brackets = 0
    while epochs >= factor**brackets:
        brackets += 1
    end_size = math.ceil(1 + math.log(epochs, factor))
    for bracket in reversed(range(brackets)):
        for number in range(bracket + 1):
            left = factor ** (bracket - number)
            yield Round(
                bracket,
                trials=math.ceil(end_size / (bracket + 1) * left),
                epochs=math.ceil(epochs / left),
            )


def hyperband_trials(epochs: int, factor: int) -> int:
    """The trials of one iteration; a trial that goes on counts once in every round."""
    return sum(one.trials for one in hyperband_rounds(epochs, factor))
