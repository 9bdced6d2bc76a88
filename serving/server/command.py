"""The command that starts a server process, and the environment that it needs."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def server_command(settings: Mapping[str, object], ready_file: Path) -> list[str]:
    """`python -m serving.server` with fields of `ServerConfig` as its options; None is left out."""
    command = [sys.executable, "-m", "serving.server", "--ready-file", str(ready_file)]
    for name, value in settings.items():
        if name == "labels" and isinstance(value, Mapping):
            command += [f"--label={label}={version}" for label, version in value.items()]
        elif value is not None:
            command.append(f"--{name.replace('_', '-')}={value}")
    return command


def server_environment() -> dict[str, str]:
    """This process's environment, in which the child finds this very code."""
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}
