"""Exchange of files with workers on other machines."""

import os
from dataclasses import replace
from pathlib import Path

from trainer.data.copies import copy_examples
from trainer.tune.search import Search, SearchPaths

_EXAMPLES = "examples"


def shared(search: Search, paths: SearchPaths) -> Search:
    """Returns the search with its examples copied to its own folder, unless below its root.

    An interrupted copy is repeated; a complete one is reused.

    Raises:
        DataError: there are no examples.
    """
    splits = search.splits
    if all(path.startswith(f"{paths.root}/") for path in (*splits.train, *splits.evaluation)):
        return search
    train = copy_examples(splits.train, os.path.join(paths.folder, _EXAMPLES, "train"))
    evaluation = copy_examples(splits.evaluation, os.path.join(paths.folder, _EXAMPLES, "eval"))
    return replace(search, splits=replace(splits, train=(train,), evaluation=(evaluation,)))


def announce(paths: SearchPaths) -> None:
    """Publishes the current search for workers that know only the root."""
    partial = Path(f"{paths.current}.partial")
    partial.write_text(paths.name, encoding="utf-8")
    partial.replace(paths.current)


def announced(root: Path) -> SearchPaths:
    """Returns the search that `announce` published; only the chief's answer confirms it.

    Raises:
        FileNotFoundError: no search was announced.
    """
    paths = SearchPaths(str(root), "")
    return replace(paths, name=Path(paths.current).read_text(encoding="utf-8").strip())
