"""Findings of the evaluation gate that its configuration may allow."""

from components.evaluation.config import EvaluationConfig
from components.evaluation.slices import OVERALL
from components.gate.report import Finding

GATE = "evaluation"


def unless_allowed(
    config: EvaluationConfig, *tokens: str, rule: str, subject: str, detail: str
) -> Finding:
    """Returns a finding that fails unless one of `tokens` is allowed; it names the first one."""
    allowed = next((token for token in tokens if token in config.allow), None)
    if allowed:
        remedy = f"allowed by {allowed!r} in evaluation.allow"
    else:
        remedy = f"to let it through, put {tokens[0]!r} into evaluation.allow"
    return Finding(GATE, rule, allowed is not None, subject or OVERALL, f"{detail}; {remedy}")
