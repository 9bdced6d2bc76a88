"""Configuration of tuning: the search space and the algorithm."""

import math
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from components.raster.frozen import Frozen
from components.raster.location import Location
from trainer.training.config import EarlyStopping

Number = int | float

#: Default number of trials for random and Bayesian search.
DEFAULT_TRIALS = 20


def _or_bool(schema: dict[str, Any]) -> None:
    """Adds `bool` as a short form to the JSON schema, as in the validator."""
    whole = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"const": "bool", "description": "true or false"}, whole]


class Dimension(Frozen):
    """The values that one field may take: a range, a list, or `bool` for true and false."""

    model_config = ConfigDict(json_schema_extra=_or_bool)

    min: Number | None = None
    max: Number | None = Field(default=None, description="Inclusive.")
    sampling: Literal["linear", "log"] = Field(
        default="linear", description="log: every decade of the range is equally likely."
    )
    step: Number | None = Field(
        default=None, gt=0, description="Between two values; with log sampling their ratio."
    )
    values: tuple[Any, ...] | None = Field(
        default=None, min_length=1, description="Whatever the field may be, in a list."
    )

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, value: Any) -> Any:
        return {"values": (True, False)} if value in ("bool", bool) else value

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.values is not None:
            if self.model_copy(update={"values": None}) != Dimension.model_construct():
                raise ValueError("give either values, or min and max")
            return self
        if self.min is None or self.max is None:
            raise ValueError("give min and max, or values, or bool")
        if self.min >= self.max:
            raise ValueError(f"min is {self.min:g}, which is not below max, {self.max:g}")
        if not (math.isfinite(self.min) and math.isfinite(self.max)):
            raise ValueError("min and max must be finite")
        if self.sampling == "log" and self.min <= 0:
            raise ValueError("log sampling needs a min above 0")
        if self.sampling == "log" and self.step is not None and self.step <= 1:
            raise ValueError("with log sampling step is a ratio: give one above 1")
        return self


class Workers(Frozen):
    """Workers on other machines: KerasTuner's, started by whoever runs the cluster."""

    host: str = Field(default="0.0.0.0", description="The address at which the chief listens.")
    port: int = Field(
        default=8000, ge=1024, le=65535, description="Its port; KerasTuner's chief asks nobody who."
    )
    exchange: Location = Field(
        description="A folder that the chief and all workers see under this path. The search and "
        "its checkpoints lie there, and the examples while it is under way."
    )
    patience_s: int = Field(
        default=7200,
        ge=60,
        description="The search ends with an error when no worker has been heard for so long.",
    )


class TuneConfig(Frozen):
    """A search over fields of `train`. The best trial's values are those that are trained with."""

    algorithm: Literal["random", "hyperband", "bayesian"] = Field(
        default="random", description="How values are chosen."
    )
    space: dict[str, Dimension] = Field(
        min_length=1,
        description="By the dotted path of a field of train, such as model.dropout.",
    )
    trials: int | None = Field(
        default=None,
        ge=1,
        description=f"Default {DEFAULT_TRIALS}. Hyperband's follow from epochs and factor.",
    )
    epochs: int | None = Field(
        default=None, ge=1, description="Of a trial, for Hyperband at most; default: train's."
    )
    steps_per_epoch: int | None = Field(default=None, ge=1, description="Default: train's.")
    early_stopping: EarlyStopping | None = Field(
        default=None, description="Of a trial; default: train's."
    )
    objective: str | None = Field(
        default=None,
        pattern=r"^val_[a-z0-9_]+$",
        description="What is judged, of the eval split; default: what early stopping monitors.",
    )
    factor: int = Field(
        default=3, ge=2, description="hyperband: of so many trials one goes on, for as many times."
    )
    iterations: int = Field(default=1, ge=1, description="hyperband: how often all brackets run.")
    seed: int = Field(
        default=0, ge=0, lt=2**31 - 1, description="Decides the values that are drawn."
    )
    parallel: int = Field(
        default=1, ge=1, le=64, description="Trials at a time on this machine, each in a process."
    )
    workers: Workers | None = Field(
        default=None, description="On other machines, in place of this one's processes."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.algorithm == "hyperband":
            if self.trials is not None:
                raise ValueError(
                    "hyperband's trials follow from epochs, factor and iterations: leave trials out"
                )
            if "epochs" in self.space:
                raise ValueError("hyperband chooses the epochs itself: take epochs out of space")
        elif (self.factor, self.iterations) != (3, 1):
            raise ValueError(f"factor and iterations are hyperband's, not {self.algorithm}'s")
        return self
