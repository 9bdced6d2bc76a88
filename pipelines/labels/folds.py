"""An audit of every label, by models trained over folds."""

from collections.abc import Callable, Mapping

from pipelines.audit.answers import add_answers
from pipelines.audit.audit import Audit
from pipelines.config.tree import PipelineConfig
from pipelines.local.folds import Fold, trained_folds


def audit_by_folds(
    config: PipelineConfig,
    examples: str,
    folds: int,
    environment: Mapping[str, str],
    on_fold: Callable[[Fold], None],
) -> Audit | None:
    """Audits the examples of each fold with a model trained on the others.

    Examples that must share a split also share a fold, since neighbours are alike.

    Args:
        config, examples, folds, environment: as for `trained_folds`.
        on_fold: called when a fold's model is trained.
    """
    audit: Audit | None = None
    for fold in trained_folds(config, examples, folds, environment):
        on_fold(fold)
        audit = add_answers(audit, fold.model, [fold.held_out])
    return audit
