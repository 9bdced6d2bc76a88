"""Configuration of a decision: the class, and the precision or recall that it must have."""

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from components.raster.frozen import Frozen
from components.raster.text import ClassName


class DecisionConfig(Frozen):
    """A class on which users act if its probability or score reaches a threshold."""

    model_config = ConfigDict(populate_by_name=True)

    class_name: ClassName = Field(alias="class", description="Class to decide about.")
    precision: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Least share of right decisions; the threshold with the highest recall is "
        "chosen.",
    )
    recall: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Least share of the class that is found; the highest threshold is chosen.",
    )

    @model_validator(mode="after")
    def _one_aim(self) -> Self:
        if (self.precision is None) == (self.recall is None):
            raise ValueError("give either precision or recall: one of them fixes the threshold")
        return self
