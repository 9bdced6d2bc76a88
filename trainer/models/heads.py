"""The plain head: one dense layer on a vector per image."""

from typing import Any

import keras

from trainer.models.features import Features


def dense(features: Features, units: int, dropout: float, name: str) -> Any:
    """Builds the head: features [N, D] to float32 [N, units]."""
    dropped = keras.layers.Dropout(dropout)(features)
    return keras.layers.Dense(units, name=name, dtype="float32")(dropped)
