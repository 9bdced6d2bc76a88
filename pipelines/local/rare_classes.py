"""What a person is told of the classes that a training saw least."""

import json
import os
from typing import Any

#: What a training writes below its output: `trainer.imbalance.report`.
_FILE = os.path.join("logs", "imbalance.json")
#: Up to so many times the rarest class, the commonest one is no news.
_EVEN = 1.5
_FOCAL = "the detector's loss is focal by itself"


def read_rare(model_run: str) -> dict[str, Any] | None:
    """What the training noted in a ModelRun artifact's folder; None for a task without classes."""
    path = os.path.join(model_run, _FILE)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found


def are_uneven(rare: dict[str, Any]) -> bool:
    """Whether the classes differ so much, or so much is done about it, that it is worth a line."""
    counts = rare["counts"].values()
    return bool(rare["done"]) or max(counts) > _EVEN * min(counts)


def rare_classes(rare: dict[str, Any]) -> str:
    """The rarest classes of the train split, and what was done about them or could be."""
    counts, unit = rare["counts"], rare["unit"]
    named = ", ".join(f"{name} {counts[name]:,}" for name in rare["rarest"])
    nothing = _FOCAL if unit == "objects" else "nothing was done about it (train.imbalance)"
    done = "; ".join(rare["done"]) or nothing
    lines = [f"rarest classes in train, in {unit}: {named}", f"  {done}"]
    if none := [name for name, count in counts.items() if not count]:
        lines.append(f"  not one to learn from: {', '.join(none)}")
    return "\n".join(lines)
