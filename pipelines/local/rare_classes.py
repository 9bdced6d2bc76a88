"""Report on the rarest classes of a training."""

from typing import Any

from pipelines.local.training_report import read_training_report

#: Ratio of the commonest to the rarest class up to which classes count as even.
_EVEN = 1.5
_FOCAL = "the detector's loss is focal anyway"


def read_rare(model_run: str) -> dict[str, Any] | None:
    """Reads the report in a ModelRun artifact's folder; None for a task without classes."""
    return read_training_report(model_run, "imbalance.json")


def are_uneven(rare: dict[str, Any]) -> bool:
    """Checks whether the classes are imbalanced, or rebalanced, enough to be worth a line."""
    counts = rare["counts"].values()
    return bool(rare["done"]) or max(counts) > _EVEN * min(counts)


def rare_classes(rare: dict[str, Any]) -> str:
    """Describes the rarest classes of the train split, and what was or could be done about them."""
    counts, unit = rare["counts"], rare["unit"]
    named = ", ".join(f"{name} {counts[name]:,}" for name in rare["rarest"])
    nothing = _FOCAL if unit == "objects" else "nothing was done about it (train.imbalance)"
    done = "; ".join(rare["done"]) or nothing
    lines = [f"rarest classes in train, in {unit}: {named}", f"  {done}"]
    if none := [name for name, count in counts.items() if not count]:
        lines.append(f"  without any: {', '.join(none)}")
    return "\n".join(lines)
