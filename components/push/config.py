"""Configuration of the push: the destination and the number of versions kept."""

import os

from pydantic import Field

from components.raster.frozen import Frozen
from components.raster.location import Location


class PushConfig(Frozen):
    """The folder that servers watch, or a bucket that they copy from, and its retention."""

    model_dir: Location = Field(
        description="The folder of models, or its address at s3://, gs:// or az://; versions lie "
        "in <model_dir>/<name>/<integer>/."
    )
    keep: int = Field(
        default=3,
        ge=0,
        description="How many older versions stay beside the new one. The version being served "
        "stays in any case.",
    )

    def model_base(self, name: str) -> str:
        """Returns the version folder of the model `name`: TensorFlow Serving's base path."""
        return os.path.join(self.model_dir, name)
