"""Exchange of files with workers on other machines."""

import os
from dataclasses import replace
from pathlib import Path

from trainer.data.copies import copy_examples
from trainer.tune.search import Places, Search

_EXAMPLES = "examples"


def shared(search: Search, places: Places) -> Search:
    """Returns the search with its examples copied to its own folder, unless below its root.

    An interrupted copy is repeated; a complete one is reused.

    Raises:
        DataError: there are no examples.
    """
    splits = search.splits
    if all(path.startswith(f"{places.root}/") for path in (*splits.train, *splits.evaluation)):
        return search
    train = copy_examples(splits.train, os.path.join(places.folder, _EXAMPLES, "train"))
    evaluation = copy_examples(splits.evaluation, os.path.join(places.folder, _EXAMPLES, "eval"))
    return replace(search, splits=replace(splits, train=(train,), evaluation=(evaluation,)))


def announce(places: Places) -> None:
    """Publishes the current search for workers that know only the root."""
    partial = Path(f"{places.current}.partial")
    partial.write_text(places.name, encoding="utf-8")
    partial.replace(places.current)


def announced(root: Path) -> Places:
    """Returns the search that `announce` published; only the chief's answer confirms it.

    Raises:
        FileNotFoundError: no search was announced.
    """
    places = Places(str(root), "")
    return replace(places, name=Path(places.current).read_text(encoding="utf-8").strip())
