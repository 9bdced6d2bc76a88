"""What can go wrong in training, told to the user."""

from components.raster.errors import SkymillError


class TrainingError(SkymillError):
    """Training stopped without a model that can be used."""
