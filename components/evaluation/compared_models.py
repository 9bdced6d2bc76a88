"""Trial call of the compared models, and the class space of their answers and the truth."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from components.evaluation.extracts import LoadedModels, Model, Reading, observe
from components.evaluation.failing import reason
from components.evaluation.model import EvaluatedModel
from components.evaluation.result import UNKNOWN_CLASS
from components.evaluation.tasks.base import Frame
from components.raster.spatial.grouping import Grouping
from components.raster.task import SINGLE_LABEL, Task

CANDIDATE = "candidate"
BASELINE = "baseline"


@dataclass(frozen=True)
class ComparedModels:
    """Result of calling each model on one example.

    Attributes:
        models: those that answered and have the candidate's task.
        space: every class of these models, the candidate's first, then one for all other labels.
        frames: by model, the mapping of its answers and the truth to the space.
        failures: by model, why it cannot be evaluated.
    """

    task: Task
    baseline_task: Task | None
    models: tuple[Model, ...]
    space: tuple[str, ...]
    frames: Mapping[str, Frame]
    failures: Mapping[str, str]

    def without(self, names: Collection[str], score_threshold: float) -> "ComparedModels":
        """Returns a copy without the models that failed on some example."""
        models = tuple(model for model in self.models if model.name not in names)
        if CANDIDATE in names:
            return replace(self, models=(), space=(), frames={})
        frames = frames_of(models, score_threshold)
        return replace(self, models=models, space=frames[CANDIDATE].space, frames=frames)


def call_models(
    paths: Mapping[str, str], loaded: LoadedModels, example: bytes, score_threshold: float
) -> ComparedModels:
    """Calls every loaded model on one example; records each error as a failure.

    Args:
        paths: the folder of each model, by its name.
    """
    served = {name: loaded.by_path[path] for name, path in paths.items() if path in loaded.by_path}
    failures = {name: loaded.failures[path] for name, path in paths.items() if name not in served}
    tasks = {name: model.task for name, model in served.items()}
    task = tasks.get(CANDIDATE, SINGLE_LABEL)
    models = []
    for name, model in served.items():
        if model.task == task:
            try:
                models.append(_answering(name, paths[name], model, example))
            except Exception as error:  # as in `load`: a graph may raise anything
                failures[name] = reason(error)
    frames = frames_of(models, score_threshold)
    space = frames[CANDIDATE].space if CANDIDATE in frames else ()
    return ComparedModels(task, tasks.get(BASELINE), tuple(models), space, frames, failures)


def frames_of(models: Sequence[Model], score_threshold: float = 0.0) -> dict[str, Frame]:
    """Returns each model's frame; the first model is the candidate."""
    names = dict.fromkeys(name for model in models for name in model.classes)
    space = (*names, UNKNOWN_CLASS)
    return {
        model.name: Frame(space, model.classes, models[0].classes, model.image, score_threshold)
        for model in models
    }


def _answering(name: str, path: str, served: EvaluatedModel, example: bytes) -> Model:
    """Returns the model once it has answered one example in the form of its task."""
    model = Model(name, path, served.classes(example), served.image)
    answer = {output: rows[0] for output, rows in served.answers([example]).items()}
    reading = Reading(frames_of([model]), (), {}, 1, served.task)
    observed = observe(example, {name: answer}, reading, Grouping())
    observed.extract(reading, reading.own_metrics())
    observed.prediction(reading)
    return model
