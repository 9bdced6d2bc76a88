"""Command line and environment of a server process."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def server_command(settings: Mapping[str, object], ready_file: Path) -> list[str]:
    """Returns `python -m serving.server` with `ServerConfig` fields as options, without None."""
    command = [sys.executable, "-m", "serving.server", "--ready-file", str(ready_file)]
    for name, value in settings.items():
        if name == "labels" and isinstance(value, Mapping):
            command += [f"--label={label}={version}" for label, version in value.items()]
        elif value is not None:
            command.append(f"--{name.replace('_', '-')}={value}")
    return command


def server_environment() -> dict[str, str]:
    """Returns this process's environment, extended so that the child imports the same code."""
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}
