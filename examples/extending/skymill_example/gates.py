"""Your own gate: no class may fall far behind the others."""

from collections.abc import Iterator

from components.gate.report import Finding
from pipelines.gates.judge import Evidence


def balanced_recall(evidence: Evidence, most_behind: float = 0.3) -> Iterator[Finding]:
    """Yields a finding for each class: its recall, and that of the best class.

    Args:
        most_behind: how far a class's recall may be below the best one's.
    """
    evaluation = evidence.evaluation
    overall = evaluation.overall
    assert overall is not None  # the evaluation's own gate stops a run without examples
    recalls = {name: overall.candidate[f"recall/{name}"] for name in evaluation.classes}
    best = max(recalls.values())
    for name, recall in recalls.items():
        yield Finding(
            gate="",
            rule=f"recall at most {most_behind:g} below the best",
            passed=best - recall <= most_behind,
            subject=name,
            detail=f"recall is {recall:.3g}, the best {best:.3g}: add examples of {name}",
        )
