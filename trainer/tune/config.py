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
    """Values of one field: a range, a list, or `bool` for true and false."""

    model_config = ConfigDict(json_schema_extra=_or_bool)

    min: Number | None = None
    max: Number | None = Field(default=None, description="Largest value, included.")
    sampling: Literal["linear", "log"] = Field(
        default="linear", description="Distribution over the range. log: uniform in the logarithm."
    )
    step: Number | None = Field(
        default=None,
        gt=0,
        description="Distance between two values; with log sampling, their ratio.",
    )
    values: tuple[Any, ...] | None = Field(
        default=None, min_length=1, description="List of values."
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


class TuneWorkers(Frozen):
    """Workers of KerasTuner on other machines, which the cluster's operator starts."""

    host: str = Field(default="0.0.0.0", description="Address on which the chief listens.")
    port: int = Field(
        default=8000,
        ge=1024,
        le=65535,
        description="Port on which the chief listens. KerasTuner's protocol has no authentication: "
        "restrict access to it.",
    )
    exchange: Location = Field(
        description="Folder that the chief and all workers can reach under this path. It stores"
        " the search and its checkpoints and, during the search, the examples."
    )
    patience_s: int = Field(
        default=7200,
        ge=60,
        description="Time without a sign of any worker after which the search fails.",
    )


class TuneConfig(Frozen):
    """Search over fields of `train`; the training uses the values of the best trial."""

    algorithm: Literal["random", "hyperband", "bayesian"] = Field(
        default="random", description="Search algorithm."
    )
    space: dict[str, Dimension] = Field(
        min_length=1,
        description="Values of each field, by its dotted path in train, such as model.dropout.",
    )
    trials: int | None = Field(
        default=None,
        ge=1,
        description=f"Number of trials. Default: {DEFAULT_TRIALS}. Those of hyperband follow from "
        "epochs and factor.",
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        description="Epochs of a trial; for hyperband, the largest number. Default: epochs of "
        "train.",
    )
    steps_per_epoch: int | None = Field(
        default=None,
        ge=1,
        description="Updates in an epoch of a trial. Default: steps_per_epoch of train.",
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="Early stopping of a trial. Default: that of train."
    )
    objective: str | None = Field(
        default=None,
        pattern=r"^val_[a-z0-9_]+$",
        description="Value of the eval split by which trials are ranked. Default: the value that "
        "early stopping monitors.",
    )
    factor: int = Field(
        default=3,
        ge=2,
        description="For hyperband: one in this many trials continues, for this many times as "
        "many epochs.",
    )
    iterations: int = Field(
        default=1, ge=1, description="For hyperband: number of passes over all brackets."
    )
    seed: int = Field(default=0, ge=0, lt=2**31 - 1, description="Seed of the drawn values.")
    parallel: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Number of trials at the same time on this machine, each in its own process.",
    )
    workers: TuneWorkers | None = Field(
        default=None,
        description="Workers on other machines, instead of processes on this one.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.algorithm == "hyperband":
            if self.trials is not None:
                raise ValueError(
                    "hyperband derives trials from epochs, factor and iterations: leave trials out"
                )
            if "epochs" in self.space:
                raise ValueError("hyperband chooses the epochs itself: take epochs out of space")
        elif (self.factor, self.iterations) != (3, 1):
            raise ValueError(f"factor and iterations are hyperband's, not {self.algorithm}'s")
        return self
