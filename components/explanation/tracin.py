"""TracIn: training examples that moved a model towards an answer, or away from it.

Pruthi et al. 2020, arXiv 2002.08484, for the last layer, where the product of two gradients has a
closed form.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class LastLayer:
    """Inputs and errors of a model's last layer for N examples.

    Attributes:
        embedding: [N, D]: the layer's inputs.
        error: [N, K]: probabilities less the truth, the loss's gradient at the layer's outputs.
    """

    embedding: Numbers
    error: Numbers


def of_classes(
    embedding: Numbers, probabilities: Numbers, truth: npt.NDArray[np.int64]
) -> LastLayer:
    """Returns the last layer of a model of classes, for examples [N] with the index of a class."""
    return LastLayer(embedding, probabilities - np.eye(probabilities.shape[1])[truth])


def influence(examples: LastLayer, answers: LastLayer) -> npt.NDArray[np.float64]:
    """Returns the influence of each example on each answer, [examples, answers].

    Positive: a step on the example lowers the loss of the answer (a proponent). Negative: it
    raises the loss (an opponent). The bias counts as an input that is always 1.
    """
    inputs = examples.embedding.astype(np.float64) @ answers.embedding.T.astype(np.float64)
    errors = examples.error.astype(np.float64) @ answers.error.T.astype(np.float64)
    product: npt.NDArray[np.float64] = (inputs + 1.0) * errors
    return product
