"""Progress of a map that is kept on disk, so that a killed run is continued."""

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
#: Changes with the arrays of a checkpoint and with the layout of maps.
_FORMAT = 4


@dataclass(frozen=True)
class MapProgress:
    """Position of a run.

    Attributes:
        layout: the layout that is worked on.
        columns: its columns that are worked on.
        band: the next band in them.
        done: tiles so far.
        measured: those among them that had valid pixels.
        rejects: tiles that cannot be read.
    """

    layout: int = 0
    columns: int = 0
    band: int = 0
    done: int = 0
    measured: int = 0
    rejects: tuple[MapReject, ...] = ()


def identity_of(view: View, model: TileModel, config: MapConfig) -> str:
    """Returns a digest of all that a map follows from: its files, the model, and the settings.

    A remote file counts by its address alone.
    """
    files = [
        (file.path, "" if is_remote(file.path) else str(state_of(file.path))) for file in view.files
    ]
    shown = config.model_dump(mode="json", exclude={"memory_mb", "checkpoint_s"})
    # Columns, and so the order of sums, follow from the memory.
    parts = [view.scene.scene_id, files, model.identity, shown, config.memory_mb, repr(view.grid)]
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@contextmanager
def checkpoint(folder: Path, identity: str, progress: MapProgress) -> Iterator[Path]:
    """Makes a folder for the files of a checkpoint, which count from the end of the context on.

    Those of the former checkpoint stay until then: a run that is killed in between has them.
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
    """Writes the progress; it replaces the former one in one step."""
    partial = folder / f"{_STATE}.part"
    with partial.open("w") as file:
        json.dump({"identity": identity, "format": _FORMAT, **asdict(progress)}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / _STATE)


def load_progress(folder: Path, identity: str) -> MapProgress | None:
    """Reads the progress; None where there is none of this map, or an earlier version wrote it."""
    try:
        found = json.loads((folder / _STATE).read_text())
    except (OSError, ValueError):
        return None
    if (found.pop("identity", None), found.pop("format", None)) != (identity, _FORMAT):
        return None
    rejects: Sequence[dict[str, str]] = found.pop("rejects")
    progress = MapProgress(**found, rejects=tuple(MapReject(**it) for it in rejects))
    return progress if checkpoint_folder(folder, progress).is_dir() else None
