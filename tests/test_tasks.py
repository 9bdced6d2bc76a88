"""One home a task in each layer: other modules of the layers do not name tasks."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import components
from components.evaluation.tasks.registry import evaluated_task
from components.raster.task import TASKS, WITHOUT_CLASSES, Task
from serving.tasks.graph import task_graph
from serving.tasks.registry import prediction_type
from trainer.tasks.config import default_options
from trainer.tasks.registry import board_of, objective_type

#: Where no other module names a task: all but the truth, and the sources that give it.
LAYERS = (
    "trainer",
    "serving",
    "pipelines",
    *(
        f"components/{folder.name}"
        for folder in sorted(Path(components.__path__[0]).iterdir())
        if folder.is_dir() and folder.name not in ("raster", "ingest")
    ),
)
#: Files that a further task is written in; docs/architecture.md lists them.
HOMES = (
    r"trainer/tasks/(config|TASK)\.py",
    r"components/evaluation/tasks/TASK\.py",
    r"components/label_audit/tasks/TASK\.py",
    r"serving/tasks/TASK/\w+\.py",
)


def naming(root: Path) -> Iterator[str]:
    """Files of the layers that hold the name of a task as a value."""
    for layer in LAYERS:
        for path in sorted((root / layer).rglob("*.py")):
            if _names_a_task(path.read_text()):
                yield path.relative_to(root).as_posix()


def _names_a_task(source: str) -> bool:
    if not any(task in source for task in TASKS):  # parsing every file takes seconds
        return False
    nodes = ast.walk(ast.parse(source))
    return any(isinstance(it, ast.Constant) and it.value in TASKS for it in nodes)


def test_no_other_module_of_a_layer_names_a_task(repository: Path) -> None:
    homes = re.compile("|".join(HOMES).replace("TASK", f"({'|'.join(TASKS)})"))
    assert [path for path in naming(repository) if not homes.fullmatch(path)] == []


def test_a_module_that_names_a_task_is_found(tmp_path: Path) -> None:
    for layer in LAYERS:
        (tmp_path / layer).mkdir(parents=True)
    (tmp_path / "serving" / "a.py").write_text('def f(task):\n    return task == "detection"\n')
    (tmp_path / "trainer" / "b.py").write_text("from trainer.tasks import detection\n")
    assert list(naming(tmp_path)) == ["serving/a.py"]


@pytest.mark.parametrize("task", TASKS)
def test_each_layer_has_a_home_for_each_task(task: Task) -> None:
    assert default_options(task).name == task
    assert objective_type(task).task == evaluated_task(task).task == task
    assert board_of(task).cards_per_example in (1, 2)
    read = set(evaluated_task(task).outputs)
    assert read <= set(prediction_type(task).outputs), "the evaluation reads what a model answers"
    assert ("classes" in prediction_type(task).outputs) == (task not in WITHOUT_CLASSES)
    assert type(task_graph(task)).__module__ == f"serving.tasks.{task}.graph"
    evaluated = evaluated_task(task)
    assert evaluated.measures(evaluated.headline)
    assert evaluated.measures(evaluated.first_threshold.metric)
