"""The plain head: one dense layer on a vector an image."""

from typing import Any

import keras

from trainer.models.features import Features


def dense(features: Features, units: int, dropout: float, name: str) -> Any:
    """float32 [N, units] from features [N, D]."""
    dropped = keras.layers.Dropout(dropout)(features)
    return keras.layers.Dense(units, name=name, dtype="float32")(dropped)
