"""Answers of an exported model for examples that it was not trained on."""

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from components.evaluation.compared_models import frames_of
from components.evaluation.extracts import Model
from components.evaluation.model import EvaluatedModel
from components.evaluation.tasks.registry import evaluated_task
from components.node.records import record_batches
from components.raster.example import KEY
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
    return add_examples(audit, EvaluatedModel(model_dir), record_batches(*files, size=_BATCH))


def add_examples(
    audit: Audit | None, served: EvaluatedModel, batches: Iterable[Sequence[bytes]]
) -> Audit | None:
    """Adds batches of serialized examples to an audit; as `add_answers`."""
    evaluated, frame = evaluated_task(served.task), None
    for batch in batches:
        if frame is None:
            classes = served.classes(batch[0])
            model = Model("candidate", served.path, classes, served.image)
            frame = frames_of([model])[model.name]
            audit = audit or Audit(served.task, classes)
        assert audit is not None
        answers = served.answers(batch)
        for row, serialized in enumerate(batch):
            features = _features(serialized)
            answer = {name: values[row] for name, values in answers.items()}
            pair = evaluated.pair(features, answer, frame)
            if pair is None:
                audit.without_truth += 1
            else:
                key = bytes(features[KEY][0]).decode("utf-8", "backslashreplace")
                audit.add(key, *pair, answer)
    return audit


def _features(serialized: bytes) -> dict[str, Any]:
    found = tf.train.Example.FromString(serialized).features.feature
    kinds = {name: found[name].WhichOneof("kind") for name in found}
    return {name: getattr(found[name], kind).value for name, kind in kinds.items() if kind}
