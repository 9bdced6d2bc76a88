"""One run at a time for the map of a scene."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from components.mapping.rejects import MapReason, MapRejected
from components.raster.only_process import LockHeld, only_process

_LOCK = ".lock"


@contextmanager
def only_run(folder: Path, scene_id: str) -> Iterator[None]:
    """Makes a scene's folder of scratch files, and keeps other runs from it meanwhile.

    Raises:
        MapRejected: another run is making the map.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(only_process(folder / _LOCK))
        except LockHeld as error:
            raise MapRejected(
                scene_id,
                MapReason.BUSY,
                f"another run is making this map in {folder}. Wait for it, or choose another "
                "--output.",
            ) from error
        yield
