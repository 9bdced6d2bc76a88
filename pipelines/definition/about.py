"""Description of the model in a configuration, for the model card."""

import os

from components.push.card.config import About
from pipelines.config.tree import PipelineConfig
from trainer.models.config import Backbone, Custom, Model, Preset


def about(config: PipelineConfig) -> About:
    """Returns terms, the rule of the splits, and the network with the origin of its weights."""
    architecture, weights = _network(config.train.model)
    return About(
        terms=config.card,
        split=config.ingest.split_words,
        architecture=architecture,
        pretrained=weights,
    )


def _network(model: Model) -> tuple[str, str | None]:
    """Returns a network's name, and the origin of its first weights; None from scratch."""
    match model:
        case Backbone():
            return model.name, model.weights and os.path.basename(model.weights)
        case Preset():
            return os.path.basename(model.preset), model.preset if model.weights else None
        case Custom():
            own = "weights of its own" if model.has_weights else None
            return model.reference, os.path.basename(model.weights) if model.weights else own
    return model.kind, None
