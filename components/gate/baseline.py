"""Content of a Baseline artifact: the folder `version/`, a full copy, or the file `none.json`."""

from pathlib import Path

from components.raster.errors import DataError

VERSION_DIR = "version"
NONE_FILE = "none.json"


def baseline_dir(uri: str) -> Path | None:
    """Returns the copy of the served version in a Baseline artifact, or None without one.

    It is a version folder like any other, with `provenance/` beside the model. Raises DataError
    when the artifact holds neither form.
    """
    version = Path(uri) / VERSION_DIR
    if (version / "saved_model.pb").is_file():
        return version
    if (Path(uri) / NONE_FILE).is_file():
        return None
    raise DataError(f"{uri} holds neither {VERSION_DIR}/ nor {NONE_FILE}: run Baseline again")
