"""What can go wrong in training, told to the user."""

from components.raster.errors import SkymillError


class TrainingError(SkymillError):
    """Training stopped without a model that can be used."""


class OutOfMemory(TrainingError):
    """The memory does not hold a training step; another batch size may do."""
