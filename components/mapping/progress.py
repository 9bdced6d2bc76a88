"""Progress of a map on disk, from which a killed run continues."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from components.mapping.config import MapConfig
from components.mapping.models import TileModel
from components.mapping.rejects import MapReject
from components.raster.file_state import state_of
from components.raster.location import is_remote
from components.raster.tiles.view import View

_STATE = "state.json"
_CHECKPOINT = "checkpoint-"
#: Increases with every change of a checkpoint's arrays or of the layout of maps.
_FORMAT = 4


@dataclass(frozen=True)
class MapProgress:
    """Position of a run.

    Attributes:
        layout: index of the current layout.
        columns: index of its current columns.
        band: the next band in them.
        done: tiles so far.
        measured: those of them that had valid pixels.
        rejects: tiles that cannot be read.
    """

    layout: int = 0
    columns: int = 0
    band: int = 0
    done: int = 0
    measured: int = 0
    rejects: tuple[MapReject, ...] = ()


def identity_of(view: View, model: TileModel, config: MapConfig) -> str:
    """Returns a digest of all that determines a map: its files, the model, and the settings.

    A remote file counts only by its address.
    """
    files = [
        (file.path, "" if is_remote(file.path) else str(state_of(file.path))) for file in view.files
    ]
    shown = config.model_dump(mode="json", exclude={"memory_mb", "checkpoint_s"})
    # The memory determines the columns, and thus the order of sums.
    parts = [view.scene.scene_id, files, model.identity, shown, config.memory_mb, repr(view.grid)]
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@contextmanager
def checkpoint(folder: Path, identity: str, progress: MapProgress) -> Iterator[Path]:
    """Makes a folder for the files of a checkpoint, which takes effect when the context ends.

    The files of the former checkpoint stay until then, for a run that is killed in between.
    """
    place = checkpoint_folder(folder, progress)
    place.mkdir(exist_ok=True)
    yield place
    save_progress(folder, identity, progress)
    for former in folder.glob(f"{_CHECKPOINT}*"):
        if former != place:
            shutil.rmtree(former)


def checkpoint_folder(folder: Path, progress: MapProgress) -> Path:
    """Returns the folder with the files of a checkpoint."""
    return folder / f"{_CHECKPOINT}{progress.layout}-{progress.columns}-{progress.band}"


def save_progress(folder: Path, identity: str, progress: MapProgress) -> None:
    """Writes the progress, which atomically replaces the former one."""
    partial = folder / f"{_STATE}.part"
    with partial.open("w") as file:
        json.dump({"identity": identity, "format": _FORMAT, **asdict(progress)}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / _STATE)


def load_progress(folder: Path, identity: str) -> MapProgress | None:
    """Reads the progress; None if there is none of this map, or an earlier version wrote it."""
    try:
        found = json.loads((folder / _STATE).read_text())
    except (OSError, ValueError):
        return None
    if (found.pop("identity", None), found.pop("format", None)) != (identity, _FORMAT):
        return None
    rejects: Sequence[dict[str, str]] = found.pop("rejects")
    progress = MapProgress(**found, rejects=tuple(MapReject(**it) for it in rejects))
    return progress if checkpoint_folder(folder, progress).is_dir() else None
