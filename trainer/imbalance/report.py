"""Report on the rare classes of a training and their handling (pure)."""

from collections.abc import Sequence
from typing import Any

from trainer.data.class_counts import ClassCounts
from trainer.imbalance.config import Imbalance
from trainer.imbalance.emphasis import Emphasis

#: File name, beside a training's logs.
IMBALANCE_FILE = "imbalance.json"
_RAREST = 3


def imbalance_report(seen: ClassCounts, config: Imbalance, emphasis: Emphasis) -> dict[str, Any]:
    """Returns the report as plain values: counts, the rarest classes first, and the measures taken.

    Args:
        seen: counts in the train split.
        config: the requested handling.
        emphasis: the resulting emphasis.
    """
    weights = emphasis.class_weights
    order = sorted(range(len(seen.counts)), key=lambda index: seen.counts[index])
    return {
        "unit": seen.unit,
        "counts": dict(zip(seen.classes, seen.counts, strict=True)),
        "rarest": [seen.classes[index] for index in order[:_RAREST]],
        "done": _done(config, weights),
        "weights": weights and dict(zip(seen.classes, weights, strict=True)),
    }


def _done(config: Imbalance, weights: Sequence[float] | None) -> list[str]:
    done = []
    if weights:
        span = f"{min(weights):.3g} to {max(weights):.3g}"
        done.append(f"class weights, {config.class_weights}: {span}")
    if config.sampling == "balanced":
        done.append("balanced sampling")
    if config.focal_gamma is not None:
        done.append(f"focal loss, gamma {config.focal_gamma:g}")
    return done
