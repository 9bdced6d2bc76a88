"""Models trained over folds of a run's examples, so that every example is answered unseen."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from components.node.files import split_folder
from components.node.records import records, shards
from components.raster.example import KEY, LATITUDE, LONGITUDE, SCENE, SPLITS
from components.raster.spatial.grouping import GROUPING_FILE, Grouping, grouping_from_json
from pipelines.config.tree import PipelineConfig
from pipelines.labels.answers import add_answers
from pipelines.labels.audit import Audit

#: The splits that the trainer reads; examples of the test split are trained on as well.
_TRAIN, _EVAL = "train", "eval"


def fold_of(unit: str, folds: int) -> int:
    """Returns the fold of a group, by its name alone.

    >>> [fold_of(name, 3) for name in ("a", "b", "c", "d")]
    [1, 1, 2, 2]
    """
    return (
        int.from_bytes(hashlib.sha256(unit.encode("utf-8", "surrogateescape")).digest()[:8], "big")
        % folds
    )


def audit_by_folds(
    config: PipelineConfig,
    examples: str,
    folds: int,
    environment: Mapping[str, str],
    on_fold: Callable[[int, int], None],
) -> Audit | None:
    """Trains a model for each fold on the other folds, and audits the fold with it.

    Examples of a group or scene share a fold, as neighbours say much about each other. Training
    costs `folds` times that of a run; one fold at a time is copied to the disk.

    Args:
        config: its `train` section trains each model.
        examples: the folder of a run's examples.
        folds: 2 or more.
        environment: may name a TPU.
        on_fold: called with the fold, from 0, and its number of examples, before its training.
    """
    audit: Audit | None = None
    for fold in range(folds):
        with tempfile.TemporaryDirectory(prefix="skymill-fold-") as folder:
            held, count = write_fold(examples, folder, fold, folds)
            on_fold(fold, count)
            if count:
                model = _train(config, folder, environment)
                audit = add_answers(audit, model, [held])
    return audit


def write_fold(examples: str, folder: str, fold: int, folds: int) -> tuple[str, int]:
    """Writes the examples outside of a fold as splits, and the fold as a file of its own.

    Returns:
        The file of the fold, and its number of examples.
    """
    held, count = os.path.join(folder, "held-out.tfrecord"), 0
    grouping = _grouping(examples)
    for name in _side_files(examples):
        shutil.copy(os.path.join(examples, name), folder)
    targets = {name: os.path.join(split_folder(folder, name), "part") for name in (_TRAIN, _EVAL)}
    for path in targets.values():
        os.makedirs(os.path.dirname(path))
    writers = {name: tf.io.TFRecordWriter(path) for name, path in targets.items()}
    with tf.io.TFRecordWriter(held) as apart:
        for split, serialized in _examples(examples):
            if fold_of(_unit(serialized, grouping), folds) == fold:
                apart.write(serialized)
                count += 1
            else:
                writers[_EVAL if split == _EVAL else _TRAIN].write(serialized)
    for writer in writers.values():
        writer.close()
    return held, count


def _train(config: PipelineConfig, folder: str, environment: Mapping[str, str]) -> str:
    from pipelines.local.latest import split_pattern
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
        for path in shards(split_folder(examples, split)):
            for serialized in records(path).as_numpy_iterator():
                yield split, serialized


def _side_files(examples: str) -> Sequence[str]:
    """Returns the names of the files beside the splits: classes and scalings."""
    return sorted(path.name for path in Path(examples).iterdir() if path.is_file())


def _grouping(examples: str) -> Grouping:
    """Reads the groups of examples; those of other tools have none."""
    path = Path(examples, GROUPING_FILE)
    if not path.exists():
        return Grouping()
    return grouping_from_json(path.read_text(encoding="utf-8"), str(path))


def _unit(serialized: bytes, grouping: Grouping) -> str:
    """Returns what shares a fold: the group of an example, else its scene, else its own key."""
    features = tf.train.Example.FromString(serialized).features.feature
    key, scene = _text(features, KEY) or "", _text(features, SCENE)
    places = [features[it].float_list.value for it in (LONGITUDE, LATITUDE) if it in features]
    lonlat = (places[0][0], places[1][0]) if len(places) == 2 and all(places) else None
    return grouping.of(key, scene, lonlat) or scene or key


def _text(features: Any, name: str) -> str | None:
    if name not in features:
        return None
    return bytes(features[name].bytes_list.value[0]).decode("utf-8", "surrogateescape")
