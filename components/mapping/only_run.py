"""One run at a time for the map of a scene."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from components.mapping.rejects import MapReason, MapRejected

_LOCK = ".lock"


@contextmanager
def only_run(folder: Path, scene_id: str) -> Iterator[None]:
    """Makes a scene's folder of scratch files, and keeps other runs from it meanwhile.

    The system gives the lock back if the process dies.

    Raises:
        MapRejected: another run is making the map.
    """
    with _opened_lock(folder, scene_id):
        yield


def _opened_lock(folder: Path, scene_id: str) -> IO[str]:
    path = folder / _LOCK
    while True:
        # A run that ends removes the folder, perhaps between two of these steps: try again then.
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            file = path.open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
            except BlockingIOError as error:
                file.close()
                raise MapRejected(
                    scene_id,
                    MapReason.BUSY,
                    f"another run is making this map in {folder}. Wait for it, or choose another "
                    "--output.",
                ) from error
            except FileNotFoundError:
                file.close()
                raise
            file.close()
