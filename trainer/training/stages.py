"""Stages of a training, bound to one network."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras

from components.raster.errors import ConfigError
from trainer.data.dataset import ExampleSource
from trainer.models.depth import blocks_of, rate_factors, train_top
from trainer.training.config import Stage

#: The sources of training and evaluation.
Sources = tuple[ExampleSource, ExampleSource]


@dataclass(frozen=True, eq=False)
class Phase:
    """One stage bound to a model.

    Attributes:
        stage: as configured.
        model: the model to fit; its inputs are those of the sources.
        begin: makes the stage's layers trainable.
        sources: returns the train and eval sources; called when the stage runs.
        factors: returns the learning-rate factor of each variable.
    """

    stage: Stage
    model: keras.Model
    begin: Callable[[], None]
    sources: Callable[[], Sources]
    factors: Callable[[Sequence[keras.Variable]], Sequence[float]]


def blocks_to_train(stage: Stage, body: keras.Model) -> int:
    """Returns the number of a body's blocks, counted from the output, that a stage trains.

    Raises:
        ConfigError: the body has fewer blocks than the stage names.
    """
    if stage.train == "head":
        return 0
    blocks = blocks_of(body)
    if stage.train == "all":
        return len(blocks)
    if stage.share is not None:
        return math.ceil(stage.share * len(blocks))
    wanted = stage.blocks or 0
    if wanted > len(blocks):
        raise ConfigError(
            f"A stage of train.stages trains the top {wanted} blocks, but the body has "
            f"{len(blocks)}: {', '.join(block.name for block in blocks)}. Use fewer, or train: all."
        )
    return wanted


def phase_of(
    stage: Stage,
    model: keras.Model,
    body: keras.Model,
    sources: Callable[[], Sources],
    keep_norms: bool,
    layer_decay: float,
) -> Phase:
    """Binds a stage to a network with a body.

    Args:
        model: the sources' inputs to outputs.
        keep_norms: whether the body's batch normalisation keeps its pretrained state.
        layer_decay: default for a stage that sets none.

    Raises:
        ConfigError: the body has fewer blocks than the stage names.
    """
    blocks = blocks_to_train(stage, body)
    decay = layer_decay if stage.layer_decay is None else stage.layer_decay
    return Phase(
        stage=stage,
        model=model,
        begin=lambda: train_top(body, blocks, keep_norms),
        sources=sources,
        factors=lambda variables: rate_factors(body, variables, decay),
    )


def whole_phase(stage: Stage, model: keras.Model, sources: Sources) -> Phase:
    """Binds a stage to a model that is trained as a whole, at one rate."""
    return Phase(stage, model, lambda: None, lambda: sources, lambda each: [1.0] * len(each))
