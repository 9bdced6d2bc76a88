"""One run at a time for the map of a scene."""

from contextlib import AbstractContextManager
from pathlib import Path

from components.mapping.rejects import MapReason, MapRejected
from components.raster.only_process import only_process

_LOCK = ".lock"


def only_run(folder: Path, scene_id: str) -> AbstractContextManager[None]:
    """Makes a scene's scratch folder, and locks it against other runs.

    Raises:
        MapRejected: on entry, if another run is making the map.
    """
    return only_process(
        folder / _LOCK,
        MapRejected(
            scene_id,
            MapReason.BUSY,
            f"another run is making this map in {folder}. Wait for it, or choose another --output.",
        ),
    )
