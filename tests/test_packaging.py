"""Declarations of setup.py, against the lock and the needs of a client."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
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
    """Returns the requirements of one extra of Skymill; the empty extra is the plain package."""
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


@pytest.mark.parametrize(
    "extra", ["", "client", "geotiff", "server", "http2", "sync", "pipeline", "all"]
)
def test_the_lock_satisfies_every_requirement(locked: dict[str, list[str]], extra: str) -> None:
    for requirement in requirements(extra):
        versions = locked.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is not in the lock: run `make lock`"
        assert all(version in requirement.specifier for version in versions), requirement


# What each part of the repository may import from others: the extra that it is installed with.
EXTRAS = {
    "components": ("all",),
    "pipelines": ("all",),
    "serving": ("server", "http2", "sync"),
    "trainer": ("all",),
}


def undeclared(folder: Path, declared: set[str]) -> list[str]:
    """The imports of a folder that come from packages other than the declared ones."""
    distributions = _distributions()
    found = []
    for path in folder.rglob("*.py"):
        for name in _IMPORT.findall(path.read_text()):
            # Many packages share a top name, `google` above all; one of them has to be ours.
            owners = distributions.get(name, [])
            if owners and not {canonicalize_name(owner) for owner in owners} & declared:
                found.append(f"{path.relative_to(folder.parent)}: {name}")
    return found


_distributions = cache(importlib.metadata.packages_distributions)
#: Also in the programs that tests hold as text. Parsing a thousand files takes seconds.
_IMPORT = re.compile(r"^\s*(?:import|from)\s+(\w+)", re.MULTILINE)


def test_an_undeclared_import_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from kfp.dsl import x\n\n\ndef f():\n    import numpy as np\n")
    path = tmp_path.name + "/a.py"
    assert undeclared(tmp_path, {"kfp", "numpy"}) == []
    assert undeclared(tmp_path, {"kfp"}) == [f"{path}: numpy"]
    assert undeclared(tmp_path, set()) == [f"{path}: kfp", f"{path}: numpy"]


def test_whatever_lies_beside_the_code_is_installed_with_it(
    repository: Path, tmp_path: Path
) -> None:
    build = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(build, cwd=repository, check=True, capture_output=True)

    def files(root: Path) -> set[str]:
        found = (path for package in EXTRAS for path in (root / package).rglob("*.*"))
        return {str(path.relative_to(root)) for path in found if path.suffix != ".pyc"}

    assert "pipelines/page/templates/report.html" in files(tmp_path)
    assert files(tmp_path) == files(repository)


@pytest.mark.parametrize("package", sorted(EXTRAS))
def test_whatever_is_imported_is_declared(repository: Path, package: str) -> None:
    declared = {
        canonicalize_name(requirement.name)
        for extra in EXTRAS[package]
        for requirement in requirements(extra)
    }
    assert undeclared(repository / package, declared | {"skymill"}) == []


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_whatever_the_checks_import_is_locked(
    repository: Path, folder: str, locked: dict[str, list[str]]
) -> None:
    assert undeclared(repository / folder, {*locked, "skymill"}) == []


@pytest.mark.parametrize("extra", ["", "client", "geotiff"])
def test_a_client_brings_no_framework(extra: str) -> None:
    assert needed(extra) & FRAMEWORKS == set()


def test_the_sidecar_brings_no_framework() -> None:
    assert needed("sync") & FRAMEWORKS == set()


def test_the_server_brings_no_pipeline() -> None:
    assert needed("server") & {"tfx", "apache-beam", "kfp", "rasterio"} == set()


def test_every_file_of_the_lock_has_hashes_and_no_address(repository: Path) -> None:
    for name in ("lock.txt", "tools.txt", "audit.txt", "docs.txt"):
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
import runpy
import sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + sys.argv[1:]
import serving.client
assert not {"tensorflow", "keras", "tfx"} & set(sys.modules)
sys.argv[1:] = ["predict", "--help"]
runpy.run_module("pipelines.cli", run_name="__main__")
"""
    command = [sys.executable, "-S", "-c", program, str(tmp_path), str(repository)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Usage: ")


def test_the_wheel_holds_the_packages_and_nothing_else(repository: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for package in EXTRAS:
        shutil.copytree(repository / package, source / package)
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(repository / name, source)
    command = [sys.executable, "setup.py", "-q", "bdist_wheel", "--dist-dir", str(tmp_path)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("skymill-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == set(EXTRAS)
    files = {
        path.relative_to(repository).as_posix()
        for package in EXTRAS
        for pattern in ("*.py", "*.yaml", "*.json", "*.proto", "*.html", "*.css")
        for path in (repository / package).rglob(pattern)
    }
    assert names == files
