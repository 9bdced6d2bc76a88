"""The folders that a run writes to, by the setting that names each."""

import os
import tempfile
from collections.abc import Mapping

from components.raster.errors import ConfigError
from components.raster.full_disk import full_disk_as_error
from components.raster.location import is_remote
from pipelines.config.tree import PipelineConfig
from pipelines.definition.kinds import Kind


def written_folders(config: PipelineConfig, kind: Kind = "training") -> dict[str, str]:
    """Returns the local folders that a run writes to, including the temporary folder."""
    places = {"workspace": config.workspace}
    if kind == "training":
        places["push.model_dir"] = config.push.model_dir
    elif config.prediction is not None:
        places["prediction.output"] = config.prediction.output
    local = {name: place for name, place in places.items() if not is_remote(place)}
    return {**local, "TMPDIR": tempfile.gettempdir()}


def require_writable(places: Mapping[str, str]) -> None:
    """Checks that each folder can be created and written to, by writing a temporary file.

    Only an attempt shows whether a path is writable: permission bits do not restrict root and do
    not show a read-only file system.

    Args:
        places: folders by the name of the setting.

    Raises:
        ConfigError: a folder cannot be created or written to.
        DiskFull: no space is left for it.
    """
    for name, place in places.items():
        try:
            with full_disk_as_error({name: place}):
                os.makedirs(place, exist_ok=True)
                with tempfile.TemporaryFile(dir=place, prefix=".writable-") as file:
                    file.write(b"a run writes here")
        except OSError as error:
            raise ConfigError(
                f"{name}: {place} cannot be written ({error.strerror}). Name a folder that this "
                "user may write, on a disk that is not mounted read-only."
            ) from error
