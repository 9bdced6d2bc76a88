"""The splits of one training: files, task and class names."""

import posixpath
from dataclasses import dataclass

from components.raster.task import SINGLE_LABEL, WITHOUT_CLASSES, Task
from trainer.data.examples import class_names


@dataclass(frozen=True)
class Splits:
    """File patterns of two splits, the task, and the class names."""

    train: tuple[str, ...]
    evaluation: tuple[str, ...]
    classes: tuple[str, ...]
    task: Task = SINGLE_LABEL


def make_splits(train_files: tuple[str, ...], eval_files: tuple[str, ...], task: Task) -> Splits:
    """Builds the splits of file patterns, with the class names that ingest stored with them.

    Raises:
        DataError: the examples lack class names.
    """
    roots = _roots(train_files + eval_files)
    classes = class_names(roots, may_be_none=task in WITHOUT_CLASSES)
    return Splits(train_files, eval_files, classes, task)


def _roots(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the uris of the Examples artifacts, from patterns `<uri>/Split-<name>/*`."""
    parents = (posixpath.dirname(posixpath.dirname(pattern)) for pattern in patterns)
    return tuple(dict.fromkeys(parents))
