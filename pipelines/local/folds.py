"""Folds of a run's examples, and models trained on all but one of them."""

import hashlib
import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.node.files import split_folder
from components.node.records import records, shards
from components.raster.errors import ConfigError
from components.raster.example import KEY, LATITUDE, LONGITUDE, SCENE, SPLITS
from components.raster.spatial.grouping import Grouping
from components.raster.spatial.rules import ByBlock, ByScene
from pipelines.config.tree import PipelineConfig
from pipelines.local.latest import split_pattern
from trainer.data.groups import read_grouping

#: The splits that the trainer reads; examples of the test split are trained on as well.
_TRAIN, _EVAL = "train", "eval"


@dataclass(frozen=True)
class Fold:
    """A trained fold.

    Attributes:
        number: the fold's number, from 0.
        model: folder of the model that was trained on the other folds.
        held_out: file of the fold's examples.
        examples: their number.
        units: number of groups, scenes, blocks or single examples among them.
    """

    number: int
    model: str
    held_out: str
    examples: int
    units: int


def trained_folds(
    config: PipelineConfig,
    examples: str,
    folds: int,
    environment: Mapping[str, str],
    grouping: Grouping | None = None,
    ended: Collection[int] = (),
) -> Iterator[Fold]:
    """Trains a model for each fold on the others; the files of a fold last until the next one.

    Training costs `folds` times that of a run, and the disk holds one copy of the examples.

    Args:
        config: its `train` section trains each model.
        examples: the folder of a run's examples.
        folds: 2 or more.
        environment: may name a TPU.
        grouping: unit that shares a fold; by default that of the split.
        ended: numbers of finished folds, which are skipped.

    Raises:
        ConfigError: there are fewer units than folds, a fold leaves one unit to train on, or no
            example has what the grouping's rule asks for.
    """
    if grouping is None:
        grouping = read_grouping(examples)
    else:
        _require_places(examples, grouping)
    counts = _counted(examples, grouping)
    assigned = assign({unit: splits.total() for unit, splits in counts.items()}, folds)
    parts = [{unit for unit in assigned if assigned[unit] == fold} for fold in range(folds)]
    stand_ins = [stand_in({it: counts[it] for it in counts if it not in own}) for own in parts]
    for number, own in enumerate(parts):
        if number in ended:
            continue
        with tempfile.TemporaryDirectory(prefix="skymill-fold-") as folder:
            held_out, count = write_fold(examples, folder, own, grouping, stand_ins[number])
            model = _train(config, folder, environment)
            yield Fold(number, model, held_out, count, len(own))


def assign(counts: Mapping[str, int], folds: int) -> dict[str, int]:
    """Assigns units to folds of about equal size: the largest first, to the smallest fold so far.

    >>> sorted(assign({"a": 5, "b": 3, "c": 3, "d": 1}, 2).items())
    [('a', 0), ('b', 1), ('c', 1), ('d', 0)]

    Raises:
        ConfigError: there are fewer units than folds.
    """
    if len(counts) < folds:
        raise ConfigError(
            f"{len(counts)} groups cannot fill {folds} folds: ask for fewer folds, or for smaller "
            "groups (--by)"
        )
    sizes, found = [0] * folds, {}
    for unit in sorted(counts, key=lambda it: (-counts[it], _drawn(it), it)):
        fold = sizes.index(min(sizes))
        found[unit] = fold
        sizes[fold] += counts[unit]
    return found


def stand_in(rest: Mapping[str, Counter[str]]) -> str | None:
    """Returns the unit that stands in for the eval split where the rest has only one split.

    It is the smallest one; None where both splits of the trainer have examples.

    Args:
        rest: examples by split, of each unit outside of a fold.

    Raises:
        ConfigError: there is only one unit.
    """
    evaluated = sum(splits[_EVAL] for splits in rest.values())
    if 0 < evaluated < sum(splits.total() for splits in rest.values()):
        return None
    if len(rest) < 2:
        raise ConfigError(
            "a fold leaves one group, which cannot be trained on and evaluated at once: ask for "
            "more folds, or for smaller groups (--by)"
        )
    return min(rest, key=lambda it: (rest[it].total(), _drawn(it), it))


def write_fold(
    examples: str, folder: str, own: set[str], grouping: Grouping, evaluated: str | None = None
) -> tuple[str, int]:
    """Writes the examples outside of a fold as splits, and the fold as a file of its own.

    Args:
        own: units of the fold.
        evaluated: the only unit of the eval split (see `stand_in`); by default that split keeps
            its own examples.

    Returns:
        The file of the fold, and its number of examples.
    """
    held, count = os.path.join(folder, "held-out.tfrecord"), 0
    for name in _side_files(examples):
        shutil.copy(os.path.join(examples, name), folder)
    targets = {name: os.path.join(split_folder(folder, name), "part") for name in (_TRAIN, _EVAL)}
    for path in targets.values():
        os.makedirs(os.path.dirname(path))
    writers = {name: tf.io.TFRecordWriter(path) for name, path in targets.items()}
    with tf.io.TFRecordWriter(held) as apart:
        for split, serialized in _examples(examples):
            unit = unit_of(serialized, grouping)
            if unit in own:
                apart.write(serialized)
                count += 1
            else:
                of_eval = split == _EVAL if evaluated is None else unit == evaluated
                writers[_EVAL if of_eval else _TRAIN].write(serialized)
    for writer in writers.values():
        writer.close()
    return held, count


def unit_of(serialized: bytes, grouping: Grouping) -> str:
    """Returns what shares a fold: the group of an example, else its scene, else its own key."""
    features = tf.train.Example.FromString(serialized).features.feature
    key, scene = _text(features, KEY) or "", _text(features, SCENE)
    return grouping.of(key, scene, _lonlat(features)) or scene or key


def _require_places(examples: str, grouping: Grouping) -> None:
    """Raises ConfigError for a rule by which each example would be a unit of its own."""
    found = (tf.train.Example.FromString(it).features.feature for _, it in _examples(examples))
    if isinstance(grouping.rule, ByBlock) and all(_lonlat(it) is None for it in found):
        raise ConfigError("no example has a place, so there are no blocks: use --by split")
    if isinstance(grouping.rule, ByScene) and all(_text(it, SCENE) is None for it in found):
        raise ConfigError("no example is from a scene: use --by split")


def _lonlat(features: Any) -> tuple[float, float] | None:
    places = [features[it].float_list.value for it in (LONGITUDE, LATITUDE) if it in features]
    return (places[0][0], places[1][0]) if len(places) == 2 and all(places) else None


def _counted(examples: str, grouping: Grouping) -> dict[str, Counter[str]]:
    """Counts the examples of each unit by split."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for split, serialized in _examples(examples):
        counts[unit_of(serialized, grouping)][split] += 1
    return counts


def _train(config: PipelineConfig, folder: str, environment: Mapping[str, str]) -> str:
    from trainer.distribution.cluster import ClusterEnvironment
    from trainer.training.job import Job, run_job
    from trainer.training.splits import make_splits

    train, evaluation = ((split_pattern(folder, split),) for split in (_TRAIN, _EVAL))
    model_dir = os.path.join(folder, "model")
    job = Job(
        splits=make_splits(train, evaluation, config.ingest.task),
        image=config.ingest.image,
        config=config.train,
        model_dir=model_dir,
        log_dir=os.path.join(folder, "logs"),
        checkpoint_root=os.path.join(folder, "checkpoints"),
    )
    run_job(job, ClusterEnvironment.of(environment))
    return model_dir


def _examples(examples: str) -> Iterator[tuple[str, bytes]]:
    for split in SPLITS:
        for serialized in records(*shards(split_folder(examples, split))):
            yield split, serialized


def _side_files(examples: str) -> Sequence[str]:
    """Returns the names of the files beside the splits: classes, scalings and groups."""
    return sorted(path.name for path in Path(examples).iterdir() if path.is_file())


def _text(features: Any, name: str) -> str | None:
    if name not in features:
        return None
    return bytes(features[name].bytes_list.value[0]).decode("utf-8", "surrogateescape")


def _drawn(unit: str) -> bytes:
    return hashlib.sha256(unit.encode("utf-8", "surrogateescape")).digest()
