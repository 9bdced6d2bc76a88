"""Exchange of files with workers on other machines."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from trainer.data.examples import list_files
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
    train = _copied(splits.train, os.path.join(places.folder, _EXAMPLES, "train"))
    evaluation = _copied(splits.evaluation, os.path.join(places.folder, _EXAMPLES, "eval"))
    return replace(search, splits=replace(splits, train=train, evaluation=evaluation))


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


def _copied(patterns: Sequence[str], folder: str) -> tuple[str, ...]:
    os.makedirs(folder, exist_ok=True)
    for number, source in enumerate(list_files(patterns)):
        target = os.path.join(folder, f"{number:05d}-{os.path.basename(source)}")
        if os.path.exists(target) and os.path.getsize(target) == tf.io.gfile.stat(source).length:
            continue
        tf.io.gfile.copy(source, f"{folder}/../.partial", overwrite=True)
        os.replace(f"{folder}/../.partial", target)
    return (os.path.join(folder, "*"),)
