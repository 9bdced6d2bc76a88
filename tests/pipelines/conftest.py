"""Runs the command line in a separate process: a fresh one, as a user does, or a warm one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests import warm

Run = subprocess.CompletedProcess[str]


def call_skymill(*arguments: str, cwd: Path | None = None) -> Run:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=_environment(),
    )


def call_warm_skymill(*arguments: str, cwd: Path | None = None) -> Run:
    return warm.run("pipelines.cli", arguments, cwd=cwd, env=_environment())


def call_light_skymill(*arguments: str, cwd: Path | None = None) -> Run:
    return warm.run("pipelines.cli", arguments, cwd=cwd, env=_environment(), light=True)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "160"}


@pytest.fixture(scope="session")
def skymill() -> Callable[..., Run]:
    """Calls the command line: `skymill("run", "x.yaml", cwd=folder)`."""
    return call_skymill


@pytest.fixture(scope="session")
def warm_skymill() -> Callable[..., Run]:
    """As `skymill`, with the libraries imported, for tests that do not concern the start."""
    return call_warm_skymill


@pytest.fixture(scope="session")
def light_skymill() -> Callable[..., Run]:
    """As `warm_skymill`, for commands that need no TensorFlow."""
    return call_light_skymill


@pytest.fixture(scope="session")
def run_config() -> Callable[..., tuple[Run, dict]]:
    """Runs an example configuration with changes, and returns its JSON summary."""

    def run(source: Path, folder: Path, **changes: dict) -> tuple[Run, dict]:
        tree = yaml.safe_load(source.read_text())
        for part, values in changes.items():
            tree[part] = {**tree.get(part, {}), **values} if isinstance(values, dict) else values
        path = folder / source.name
        path.write_text(yaml.safe_dump(tree, sort_keys=False))
        done = call_warm_skymill("run", str(path), "--json")
        assert done.stdout, done.stderr[-3000:]
        return done, json.loads(done.stdout)

    return run


@pytest.fixture
def pretrained(shared_data) -> Callable[[Path], dict]:
    """For `run_config`: the `train` section of an example, with the local path of the weights."""

    def changed(example: Path) -> dict:
        [weights] = shared_data("models/mobilenet_v2_035_224_no_top").glob("*.h5")
        model = yaml.safe_load(example.read_text())["train"]["model"]
        return {"model": {**model, "weights": str(weights)}}

    return changed
