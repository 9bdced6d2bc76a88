"""Fits the reliability of served answers, on the train and eval splits."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from serving.contract.reliability import Conformal, Numbers, UnknownScore
from trainer.data.groups import units_of

_QUANTILES = 200
#: Most dimensions that are kept, which limits the graph's constants to some hundred kilobytes.
_MOST_DIMENSIONS = 64
#: Least share of the variance in a dimension that is kept, and share of the mean variance that is
#: added to each, so that few examples do not make a direction too certain.
_LEAST_SHARE, _SHRINKAGE = 1e-4, 0.05
#: Least spread of the distances, as a share of the typical one. The graph computes in float32, and
#: its rounding would otherwise be the score where the eval split is one image, or copies of one.
_LEAST_SPREAD = 1e-3
#: Half the range of scores around a quantile that count as equal to it, in spreads. Where scores
#: do not vary, as with a network that answers everything alike, each is in the middle.
_EQUAL = 1e-3


def fit_unknown(
    train: Numbers, labels: npt.NDArray[np.int64] | None, evaluation: Numbers
) -> UnknownScore:
    """Fits the score of unknown imagery.

    Args:
        train: embeddings [N, D] of the train split.
        labels: class of each; None where examples have no single class.
        evaluation: embeddings of the eval split, whose scores give the percentiles.
    """
    centre = train.mean(axis=0, dtype=np.float64)
    centred = train.astype(np.float64) - centre
    values, vectors = np.linalg.eigh(_covariance(centred))
    kept = np.argsort(-values)[:_MOST_DIMENSIONS]
    kept = kept[values[kept] > _LEAST_SHARE * values.max()]
    base = vectors[:, kept]
    reduced = centred @ base
    kinds = np.zeros(len(train), np.int64) if labels is None else labels
    classes, index, sizes = np.unique(kinds, return_inverse=True, return_counts=True)
    centres = np.stack([reduced[kinds == each].mean(axis=0) for each in classes])
    projection = base @ _whitening(_covariance(reduced - centres[index]), _SHRINKAGE)
    means = np.stack([(centred[kinds == each] @ projection).mean(axis=0) for each in classes])
    # One covariance within the classes for both distances: directions in which classes do not
    # differ then cancel in the relative one.
    between = np.cov(means, rowvar=False, fweights=sizes, bias=True)
    background = _whitening(np.eye(projection.shape[1]) + between)
    fitted = partial(UnknownScore, centre, projection, means, background)
    plain = fitted(np.zeros(1), np.ones(1), np.zeros(0))
    distances = plain.distances(evaluation.astype(np.float64))
    low, typical, high = np.quantile(distances, [0.1, 0.5, 0.9], axis=0)
    spread = np.maximum(high - low, max(_LEAST_SPREAD * typical[0], 1e-6))
    scores = fitted(typical, spread, np.zeros(0)).scores(evaluation.astype(np.float64))
    quantiles = np.quantile(scores, np.linspace(0, 1, _QUANTILES))
    return fitted(typical, spread, quantiles + np.linspace(-_EQUAL, _EQUAL, _QUANTILES))


def _covariance(values: Numbers) -> Numbers:
    covariance: Numbers = values.T @ values / max(len(values) - 1, 1)
    return covariance


def _whitening(covariance: Numbers, shrinkage: float = 0.0) -> Numbers:
    """Returns [R, R] after which values of this covariance have the identity.

    Args:
        covariance: [R, R].
        shrinkage: share of the mean variance that is mixed into each.
    """
    variances, vectors = np.linalg.eigh(covariance)
    mean = variances.sum() / max(len(variances), 1)
    shrunk = (1 - shrinkage) * variances + shrinkage * mean
    whitening: Numbers = vectors / np.sqrt(np.maximum(shrunk, 1e-12))
    return whitening


def fit_conformal(errors: Numbers, level: float, groups: Sequence[str | None]) -> Conformal:
    """Fits the bound that a share `level` of new errors stays within.

    Each example has the weight 1 / (N + 1); the rest is that of the new one. With G groups, each
    has the weight 1 / (G + 1), shared by its examples (Lee, Barber and Willett 2023, arXiv
    2306.06342): the bound then holds for an example of a new group.

    Args:
        errors: [N]: 1 less the probability of the true class, or the error of a number.
        level: such as 0.9.
        groups: group of each example; None for one that was drawn alone, a group of its own.
    """
    units = units_of(groups)
    sizes = np.bincount(units)
    weights = 1.0 / ((len(sizes) + 1) * sizes[units])
    count = None if all(group is None for group in groups) else len(sizes)
    order = np.argsort(errors, kind="stable")
    reached = np.cumsum(weights[order])
    place = int(np.searchsorted(reached, level - 1e-9))
    bound = float(errors[order[place]]) if place < len(errors) else None
    return Conformal(level=level, bound=bound, examples=len(errors), groups=count)
