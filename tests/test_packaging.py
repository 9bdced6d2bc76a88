"""What setup.py declares, against the lock and against what a client needs."""

import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FRAMEWORKS = {"tensorflow", "keras", "tfx", "apache-beam", "pandas", "pyarrow", "kfp"}


@pytest.fixture(scope="module")
def locked(repository: Path) -> dict[str, list[str]]:
    """The versions that the lock pins, by package."""
    found: dict[str, list[str]] = {}
    for line in (repository / "requirements" / "lock.txt").read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line):
            found.setdefault(canonicalize_name(match[1]), []).append(match[2])
    return found


def requirements(extra: str) -> Iterator[Requirement]:
    """What one extra of Skymill asks for; the empty extra is the plain package."""
    for text in importlib.metadata.requires("skymill") or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def needed(extra: str) -> set[str]:
    """The names of all packages that an extra brings, followed through what is installed."""
    seen, waiting = set[str](), [requirement.name for requirement in requirements(extra)]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        for text in importlib.metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return seen


@pytest.mark.parametrize("extra", ["", "client", "server", "pipeline", "all"])
def test_the_lock_satisfies_every_requirement(locked: dict[str, list[str]], extra: str) -> None:
    for requirement in requirements(extra):
        versions = locked.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is not in the lock: run `make lock`"
        assert all(version in requirement.specifier for version in versions), requirement


@pytest.mark.parametrize("extra", ["", "client"])
def test_a_client_brings_no_framework(extra: str) -> None:
    assert needed(extra) & FRAMEWORKS == set()


def test_the_server_brings_no_pipeline() -> None:
    assert needed("server") & {"tfx", "apache-beam", "kfp", "rasterio"} == set()


def test_every_file_of_the_lock_has_hashes_and_no_address(repository: Path) -> None:
    for name in ("lock.txt", "tools.txt"):
        lock = (repository / "requirements" / name).read_text()
        pins = re.findall(r"^\S+==", lock, re.MULTILINE)
        assert len(re.findall(r"^\S+==.*\\\n    --hash=sha256:", lock, re.MULTILINE)) == len(pins)
        assert "://" not in lock


@pytest.mark.slow
def test_the_client_extra_is_enough_for_the_client(
    repository: Path, tmp_path: Path, locked: dict[str, list[str]]
) -> None:
    names = sorted(needed("client"))
    wanted = [f"{name}=={max(locked[name])}" for name in names]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(tmp_path), *wanted], check=True)
    program = """
import sys
sys.path[:] = [p for p in sys.path if "site-packages" not in p] + sys.argv[1:]
import serving.client
import pipelines.cli
print(sorted({"tensorflow", "keras", "tfx"} & set(sys.modules)))
"""
    command = [sys.executable, "-S", "-c", program, str(tmp_path), str(repository)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.stdout == "[]\n", result.stderr
