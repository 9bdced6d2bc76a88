"""Rasters with a known answer, and ingest run on them as the pipeline runs it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.ingest.config import IngestConfig
from tests.components.ingest.conftest import Outcome, ingest  # noqa: F401
from tests.components.raster_geo.conftest import write_raster  # noqa: F401

SPLITS = ("train", "eval", "test")
Features = Any


@pytest.fixture
def run(ingest) -> Callable[..., Outcome]:  # noqa: F811
    """Runs ingest on a tree of plain values: `run(tree, "name", *beam_args)`."""

    def of(tree: dict[str, Any], *arguments: str) -> Outcome:
        outcome: Outcome = ingest(IngestConfig.model_validate(tree), *arguments)
        return outcome

    return of


def by_key(outcome: Outcome) -> dict[str, tuple[str, Features]]:
    """(split, features) of every example, by its key."""
    found = {}
    for split in SPLITS:
        for example in outcome.examples(split):
            features = example.features.feature
            found[features["image/key"].bytes_list.value[0].decode()] = split, features
    return found


def strings(features: Features, name: str) -> list[str]:
    """A feature's text."""
    return [value.decode() for value in features[name].bytes_list.value]


def floats(features: Features, name: str) -> list[float]:
    """A feature's numbers."""
    return list(features[name].float_list.value)


def mask_of(features: Features) -> np.ndarray:
    """The mask (H, W) of an example, decoded by TensorFlow."""
    encoded = features["mask/encoded"].bytes_list.value[0]
    return tf.io.decode_png(encoded, dtype=tf.uint8).numpy()[..., 0]


def folder_of(paths: list[Path]) -> str:
    """The folder that all of some files lie in."""
    (folder,) = {path.parent for path in paths}
    return str(folder)
