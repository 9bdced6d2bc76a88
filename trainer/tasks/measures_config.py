"""Configuration of a loss and of metrics of the user's own."""

from typing import ClassVar

from pydantic import Field

from components.raster.extension import Built


class CustomLoss(Built):
    """Your own Keras loss, which replaces the task's: see docs/extending.md."""

    group: ClassVar[str] = "skymill.losses"
    offers: ClassVar[tuple[str, ...]] = ("classes", "ignore_value")


class CustomTrainingMetric(Built):
    """Your own Keras metric, on the train and eval splits: see docs/extending.md."""

    group: ClassVar[str] = "skymill.training_metrics"
    offers: ClassVar[tuple[str, ...]] = ("name", "classes", "ignore_value")

    name: str = Field(
        pattern="^[a-z][a-z0-9_]*$",
        description="Name in the learning curve; early_stopping.monitor and tune.objective may "
        "be val_ and this name. Less is better if it ends in loss, error, cost, mae"
        " or rmse.",
    )
