"""Configuration of the push: the destination and the number of versions kept."""

import os

from pydantic import Field

from components.raster.frozen import Frozen
from components.raster.location import Location


class PushConfig(Frozen):
    """Destination of new versions, and the number of versions to keep."""

    model_dir: Location = Field(
        description="Folder of models, local or at s3://, gs:// or az://; versions are "
        "<model_dir>/<name>/<integer>/."
    )
    keep: int = Field(
        default=3,
        ge=0,
        description="Number of older versions kept beside the new one; the served version is "
        "always kept.",
    )

    def model_base(self, name: str) -> str:
        """Returns the version folder of the model `name`: TensorFlow Serving's base path."""
        return os.path.join(self.model_dir, name)
