"""Numbers and lengths of the trials of Hyperband."""

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Round:
    """Trials of a bracket that are trained up to the same number of epochs."""

    bracket: int
    trials: int
    epochs: int


def hyperband_rounds(epochs: int, factor: int) -> Iterator[Round]:
    """Yields the rounds of one iteration in the order in which they begin.

    They match KerasTuner's oracle, after Li et al. 2018 (JMLR 18): bracket s begins with many
    trials of epochs / factor^s, and each next round continues one in `factor` trials for `factor`
    times as many epochs.

    Args:
        epochs: epochs of the trials that reach the end.
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
    """Returns the trials of one iteration; a continued trial counts once in every round."""
    return sum(one.trials for one in hyperband_rounds(epochs, factor))
