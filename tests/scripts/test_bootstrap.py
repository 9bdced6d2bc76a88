"""Checks of the set-up before it installs: Python, system and package index."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts import bootstrap
from scripts.old_glibc import SetupError

# Answers the two questions of bootstrap.sh by its exit code, and says that it was chosen.
FAKE_PYTHON = """\
#!/bin/sh
case "$*" in
    *version_info*) exit {too_old_or_new} ;;
    *ensurepip*) exit {no_pip} ;;
    --version) echo "Python {version}" ;;
    *) echo "chosen $(basename "$0") $*" ;;
esac
"""


def choose(
    repository: Path,
    folder: Path,
    pythons: Mapping[str, tuple[str, bool]],
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs bootstrap.sh where only the given Pythons (name: version, has pip) exist."""
    for tool in ("sh", "dirname", "basename"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    for name, (version, has_pip) in pythons.items():
        program = FAKE_PYTHON.format(
            too_old_or_new=int(version not in ("3.11", "3.12", "3.13")),
            no_pip=int(not has_pip),
            version=version,
        )
        (folder / name).write_text(program)
        (folder / name).chmod(0o755)
    return subprocess.run(
        ["sh", str(repository / "scripts" / "bootstrap.sh")],
        env={"PATH": str(folder), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"python3": ("3.11", True), "python3.13": ("3.13", True)}, "python3"),
        ({"python3": ("3.10", True), "python3.12": ("3.12", True)}, "python3.12"),
        ({"python3.11": ("3.11", True), "python3.13": ("3.13", True)}, "python3.13"),
        ({"python3": ("3.12", False), "python3.11": ("3.11", True)}, "python3.11"),
    ],
)
def test_it_takes_a_python_that_can_do_it(
    repository: Path, tmp_path: Path, pythons: Mapping[str, tuple[str, bool]], chosen: str
) -> None:
    result = choose(repository, tmp_path, pythons)
    assert result.stdout == f"chosen {chosen} -m scripts.bootstrap\n"
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("pythons", "environment", "message"),
    [
        ({"python3": ("3.10", True)}, {}, "found no Python 3.11, 3.12 or 3.13"),
        ({"python3": ("3.14", True)}, {}, "found no Python 3.11, 3.12 or 3.13"),
        ({"python3": ("3.11", False)}, {}, "python3 has neither pip nor ensurepip"),
        ({"python3": ("3.11", False)}, {}, "apt install python3-venv"),
        (
            {"python3": ("3.11", True), "python3.14": ("3.14", True)},
            {"PYTHON": "python3.14"},
            "PYTHON=python3.14 is Python 3.14; Skymill needs",
        ),
        ({}, {"PYTHON": "python9"}, "python9: not found; Skymill needs Python 3.11, 3.12 or 3.13"),
    ],
)
def test_otherwise_it_says_in_one_line_what_to_do(
    repository: Path,
    tmp_path: Path,
    pythons: Mapping[str, tuple[str, bool]],
    environment: Mapping[str, str],
    message: str,
) -> None:
    result = choose(repository, tmp_path, pythons, environment)
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_python_of_these_tests_suits(repository: Path) -> None:
    script = (repository / "scripts" / "bootstrap.sh").read_text()
    (question,) = (line for line in script.splitlines() if line.startswith("suits="))
    subprocess.run([sys.executable, "-c", question.split("'")[1]], check=True)


@pytest.mark.parametrize(
    ("system", "machine", "glibc", "problem"),
    [
        ("Linux", "x86_64", (2, 36), None),
        ("Linux", "x86_64", (2, 41), None),
        ("Darwin", "arm64", None, None),
        ("Linux", "x86_64", (2, 31), "glibc 2.31 is too old"),
        ("Linux", "x86_64", None, "no GNU C library"),
        ("Linux", "aarch64", (2, 41), "Linux on aarch64 has no wheels"),
        ("Darwin", "x86_64", None, "Darwin on x86_64 has no wheels"),
        ("Windows", "AMD64", None, "WSL"),
    ],
)
def test_a_system_without_wheels_is_refused(
    system: str, machine: str, glibc: tuple[int, int] | None, problem: str | None
) -> None:
    found = bootstrap.unsupported(system, machine, glibc)
    assert (problem is None and found is None) or (problem or "-") in (found or "")


def fake_pip(folder: Path, settings: Mapping[str, str]) -> list[str]:
    """A `pip` whose configuration holds the given settings."""
    program = folder / "pip.py"
    program.write_text(
        "import sys\n"
        "assert sys.argv[1:3] == ['config', 'get']\n"
        f"found = {dict(settings)!r}.get(sys.argv[3])\n"
        "print(found) if found else sys.exit('ERROR: No such key')\n"
    )
    return [sys.executable, str(program)]


def test_uv_asks_the_index_that_pip_is_set_to(tmp_path: Path) -> None:
    pip = fake_pip(tmp_path, {"global.index-url": "https://mirror.example/simple"})
    settings = bootstrap.uv_environment({"HOME": "home"}, pip)
    assert settings == {"HOME": "home", "UV_DEFAULT_INDEX": "https://mirror.example/simple"}


def test_the_environment_outranks_pips_files(tmp_path: Path) -> None:
    pip = fake_pip(tmp_path, {"global.cert": "one.pem"})
    settings = bootstrap.uv_environment({"PIP_CERT": "two.pem"}, pip)
    assert settings["SSL_CERT_FILE"] == "two.pem"
    settings = bootstrap.uv_environment({"SSL_CERT_FILE": "three.pem"}, pip)
    assert settings["SSL_CERT_FILE"] == "three.pem"


def test_a_set_up_that_breaks_off_leaves_no_stamp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = tmp_path / ".ready"
    stamp.touch()
    monkeypatch.setattr(bootstrap, "STAMP", stamp)
    monkeypatch.setattr(bootstrap, "find_pip", lambda: ["false"])
    monkeypatch.setattr(bootstrap, "TOOLS", tmp_path)
    with pytest.raises(SetupError, match="`false install --quiet"):
        bootstrap.set_up()
    assert not stamp.exists()


def test_a_finished_set_up_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = tmp_path / ".ready"
    stamp.write_text(bootstrap.fingerprint(bootstrap.INPUTS))
    os.utime(stamp, (0, 0))
    monkeypatch.setattr(bootstrap, "STAMP", stamp)
    monkeypatch.setattr(bootstrap, "set_up", lambda: pytest.fail("it is repeated"))
    bootstrap.set_up_if_needed()
    assert stamp.stat().st_mtime > 0


def test_a_change_of_any_input_is_noticed(tmp_path: Path) -> None:
    inputs = [tmp_path / "lock.txt", tmp_path / "setup.py"]
    for path in inputs:
        path.write_text("one")
    before = bootstrap.fingerprint(inputs)
    inputs[1].write_text("two")
    assert bootstrap.fingerprint(inputs) != before


@pytest.mark.parametrize(("keep", "calls"), [(True, 0), (False, 1)])
def test_an_unfinished_environment_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool, calls: int
) -> None:
    uv = tmp_path / "uv"
    uv.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n')
    uv.chmod(0o755)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "calls").touch()
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    bootstrap.make_venv(str(uv), keep)
    assert (tmp_path / "calls").read_text().count("venv --quiet --clear --python") == calls
