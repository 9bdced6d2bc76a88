"""Configuration of the model card: facts about a model that a run cannot know."""

from pydantic import Field

from components.raster.frozen import Frozen


class CardConfig(Frozen):
    """Terms, contact and purpose of the model for the card beside each version."""

    purpose: str | None = Field(
        default=None, min_length=1, description="Intended use of the model, in a sentence or two."
    )
    limits: tuple[str, ...] = Field(
        default=(), description="Known limits, one sentence each; measured limits are added."
    )
    licence: str | None = Field(
        default=None, min_length=1, description="SPDX identifier, such as Apache-2.0, or other."
    )
    contact: str | None = Field(
        default=None, min_length=1, description="Contact for questions: a name or an address."
    )


class About(Frozen):
    """Description of the model in the configuration, for the card.

    Attributes:
        split: the rule that assigns examples to splits, in words.
        architecture: the network.
        pretrained: origin of the weights that training began with; None for a network from scratch.
    """

    terms: CardConfig = CardConfig()
    split: str = ""
    architecture: str = ""
    pretrained: str | None = None
