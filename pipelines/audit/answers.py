"""Answers of an exported model for examples that it was not trained on."""

from collections.abc import Sequence

from components.evaluation.compared_models import CANDIDATE, frames_of
from components.evaluation.extracts import Model, Reading, observe
from components.evaluation.model import EvaluatedModel
from components.node.records import record_batches
from components.raster.spatial.grouping import Grouping
from pipelines.audit.audit import Audit

_BATCH = 32


def add_answers(audit: Audit | None, model_dir: str, files: Sequence[str]) -> Audit | None:
    """Adds the examples of TFRecord files to an audit, with a model's answers.

    Args:
        audit: None makes one for the model's task and classes.
        model_dir: folder of the SavedModel.
        files: examples that the model was not trained on.

    Returns:
        The audit; None without any example.
    """
    served, reading = EvaluatedModel(model_dir), None
    for batch in record_batches(*files, size=_BATCH):
        if reading is None:
            model = Model(CANDIDATE, served.path, served.classes(batch[0]), served.image)
            reading = Reading(frames_of([model]), (), {}, _BATCH, served.task)
            audit = audit or Audit(reading.head)
        assert audit is not None
        answers = served.answers(batch)
        for place, serialized in enumerate(batch):
            answer = {name: values[place] for name, values in answers.items()}
            example = observe(serialized, {CANDIDATE: answer}, reading, Grouping())
            audit.add(example.prediction(reading))
    return audit
