"""Errors of training, in the user's terms."""

from components.raster.errors import SkymillError


class TrainingError(SkymillError):
    """Training stopped without a usable model."""


class OutOfMemory(TrainingError):
    """The memory cannot hold a training step; a smaller batch may fit."""
