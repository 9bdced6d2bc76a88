"""Accuracy of a map and the area of its classes, as facts and as text."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from components.assessment.estimators import Accuracy, Estimate, LabelledSample, estimate
from components.assessment.record import Design

CONFIDENCE = 0.95


def facts_of(design: Design, sample: LabelledSample) -> dict[str, Any]:
    """Computes all estimates from a labelled sample, as JSON values.

    Shares and their half widths (95 %) lie between 0 and 1; areas are in hectares.
    """
    found = estimate(sample, len(design.classes))
    total_ha = None if design.area_ha is None else sum(design.area_ha)
    mapped = np.array(design.pixels) / sum(design.pixels)
    return {
        "map": design.map,
        "confidence": CONFIDENCE,
        "units": len(sample.reference),
        "strata": [
            {"name": name, "pixels": pixels, "units": int((sample.stratum == index).sum())}
            for index, (name, pixels) in enumerate(
                zip(design.strata, design.population, strict=True)
            )
        ],
        "overall": _fact(found.overall),
        "classes": [
            {
                "class": name,
                "users": _fact(found.users[index]),
                "producers": _fact(found.producers[index]),
                "mapped_share": float(mapped[index]),
                "share": _fact(found.shares[index]),
                "mapped_ha": None if design.area_ha is None else design.area_ha[index],
                "area_ha": None if total_ha is None else _fact(found.shares[index].times(total_ha)),
            }
            for index, name in enumerate(design.classes)
        ],
        "confusion": found.confusion.tolist(),
        "counts": _counts(sample, len(design.classes)),
        "notes": _notes(design, sample, found),
    }


def text_of(facts: Mapping[str, Any]) -> str:
    """Formats the facts as a table for people."""
    lines = [
        f"{facts['map']}: {facts['units']} labelled units, intervals of "
        f"{facts['confidence']:.0%} confidence",
        f"overall accuracy  {_share(facts['overall'])}",
        "",
    ]
    in_ha = all(row["area_ha"] for row in facts["classes"])
    head = ["class", "user's accuracy", "producer's accuracy", "mapped", "error-adjusted area"]
    rows = [
        [
            row["class"],
            _share(row["users"]),
            _share(row["producers"]),
            f"{row['mapped_ha']:,.2f} ha" if in_ha else f"{row['mapped_share']:.1%}",
            _hectares(row["area_ha"]) if in_ha else _share(row["share"]),
        ]
        for row in facts["classes"]
    ]
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    for row in [head, *rows]:
        cells = [
            row[0].ljust(widths[0]),
            *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append("  ".join(cells).rstrip())
    lines += [f"note: {note}" for note in facts["notes"]]
    return "\n".join(lines)


def _fact(found: Estimate | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {"value": found.value, "plus_minus": found.half_width(CONFIDENCE)}


def _share(fact: Mapping[str, float] | None) -> str:
    return "unknown" if fact is None else f"{fact['value']:.3f} ± {fact['plus_minus']:.3f}"


def _hectares(fact: Mapping[str, float]) -> str:
    return f"{fact['value']:,.2f} ± {fact['plus_minus']:,.2f} ha"


def _counts(sample: LabelledSample, classes: int) -> list[list[int]]:
    flat = np.bincount(sample.mapped * classes + sample.reference, minlength=classes**2)
    counts: list[list[int]] = flat.reshape(classes, classes).tolist()
    return counts


def _notes(design: Design, sample: LabelledSample, found: Accuracy) -> list[str]:
    """Returns caveats on figures that the sample supports poorly."""
    notes = []
    if left_out := len(design.units) - len(sample.reference):
        notes.append(f"{left_out} units have no label and are taken to be missing at random")
    flawless = [
        name
        for name, users in zip(design.classes, found.users, strict=True)
        if users is not None and users.value in (0.0, 1.0)
    ]
    if flawless:
        notes.append(
            f"no two units mapped as {', '.join(flawless)} differ in being right: the interval of "
            "user's accuracy has no width, and the true one is wider"
        )
    unseen = [
        name
        for name, producers in zip(design.classes, found.producers, strict=True)
        if producers is None
    ]
    if unseen:
        notes.append(f"the sample has no unit that truly is {', '.join(unseen)}")
    return notes
