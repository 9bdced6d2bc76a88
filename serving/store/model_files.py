"""Files of a SavedModel's folder: regular files, in folders inside it."""

import stat
from pathlib import Path

from components.raster.errors import SkymillError


class ModelFolderError(SkymillError):
    """A model's folder holds something other than its own files and folders."""


def model_entries(model_dir: Path) -> dict[str, Path]:
    """Lists every file and folder below a model's folder, by relative name, each after its folder.

    A link to a file of the same model counts as a file. The folder itself may be a link.

    Raises:
        ModelFolderError: a link leads to a folder, out of the model or nowhere, or an entry is a
            pipe, a socket or a device, which may block its reader forever.
        OSError: a folder cannot be read.
    """
    root = model_dir.resolve()
    found: dict[str, Path] = {}
    waiting = [model_dir]
    while waiting:
        for entry in sorted(waiting.pop().iterdir()):
            _check(entry, root)
            found[entry.relative_to(model_dir).as_posix()] = entry
            if entry.is_dir():
                waiting.append(entry)
    return found


def model_files(model_dir: Path) -> dict[str, Path]:
    """Returns the files among `model_entries`."""
    return {name: path for name, path in model_entries(model_dir).items() if not path.is_dir()}


def _check(entry: Path, root: Path) -> None:
    mode = entry.lstat().st_mode
    if stat.S_ISLNK(mode):
        _check_link(entry, root)
    elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ModelFolderError(
            f"{entry} is neither a file nor a folder but a pipe, a socket or a device: remove it."
        )


def _check_link(entry: Path, root: Path) -> None:
    try:
        target = entry.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: circular links, before Python 3.13
        raise ModelFolderError(f"{entry} is a link that leads nowhere: remove it.") from error
    if not target.is_relative_to(root):
        what = f"leads out of the model, to {target}"
    elif target.is_dir():
        what = f"leads to the folder {target}"
    elif not target.is_file():
        what = f"leads to {target}, which is not a file"
    else:
        return
    raise ModelFolderError(
        f"{entry} is a link that {what}: put the files themselves there, as `cp -rL` does."
    )
