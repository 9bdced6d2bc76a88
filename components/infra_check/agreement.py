"""Comparison of a server's predictions with those of the model in this process."""

from collections.abc import Sequence

from serving.tasks.base import AnyPrediction


def disagreement(
    wanted: Sequence[AnyPrediction], given: Sequence[AnyPrediction], tolerance: float
) -> str:
    """Describes how a server's predictions differ from the expected ones; empty if they agree.

    Args:
        tolerance: as in `AnyPrediction.difference`.
    """
    if len(wanted) != len(given):
        return f"{len(given)} answers to {len(wanted)} images"
    for index, (want, got) in enumerate(zip(wanted, given, strict=True)):
        if found := _difference(want, got, tolerance):
            return f"image {index}: {found}"
    return ""


def _difference(want: AnyPrediction, got: AnyPrediction, tolerance: float) -> str:
    if type(got) is not type(want):
        return f"a {type(got).__name__}, not a {type(want).__name__}"
    if found := want.difference(got, tolerance):
        return found
    if want.reliability is None:
        return "" if got.reliability is None else "it reports a reliability and the model does not"
    return want.reliability.difference(got.reliability, tolerance)
