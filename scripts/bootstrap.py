"""Set-up of the repository's virtual environment: `.venv`, exactly as the lock says.

Run by `make` through bootstrap.sh, with a Python that has pip or ensurepip. The stamp that marks a
complete environment for `make` is written last: an interrupted set-up runs again and reuses what
was downloaded. Only the standard library is used.
"""

import fcntl
import hashlib
import importlib.util
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.old_glibc import PATCHED_GLIBC, SetupError, glibc_version, lock_for

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = REPOSITORY / ".tools"
VENV = REPOSITORY / ".venv"
STAMP = VENV / ".ready"
REQUIREMENTS = REPOSITORY / "requirements"
LOCK = REQUIREMENTS / "lock.txt"
INPUTS = (
    LOCK,
    REQUIREMENTS / "tools.txt",
    REPOSITORY / "setup.py",
    *(REPOSITORY / "scripts" / name for name in ("bootstrap.py", "old_glibc.py")),
)


def unsupported(system: str, machine: str, glibc: tuple[int, int] | None) -> str | None:
    """Returns why Skymill's dependencies have no wheels for a system, or None if they have."""
    if (system, machine) == ("Darwin", "arm64"):
        return None
    if (system, machine) != ("Linux", "x86_64"):
        return (
            f"{system} on {machine} has no wheels of TensorFlow Data Validation; "
            "use Linux on x86_64 (a container or WSL will do) or macOS on Apple silicon"
        )
    if glibc is None:
        return "this Linux has no GNU C library; use a distribution with glibc, such as Debian"
    if glibc < PATCHED_GLIBC:
        return f"glibc {glibc[0]}.{glibc[1]} is too old; Debian 12 and Ubuntu 22.04 are the oldest"
    return None


def uv_environment(environment: Mapping[str, str], pip: Sequence[str]) -> dict[str, str]:
    """Returns the environment for uv, with pip's configured package index and certificates."""
    settings = dict(environment)
    for option, variable in (("index-url", "UV_DEFAULT_INDEX"), ("cert", "SSL_CERT_FILE")):
        query = [*pip, "config", "get", f"global.{option}"]
        found = subprocess.run(query, capture_output=True, text=True, check=False)
        value = environment.get(f"PIP_{option.upper().replace('-', '_')}") or found.stdout.strip()
        if value:
            settings.setdefault(variable, value)
    return settings


def find_pip() -> list[str]:
    """Returns the command of a pip: this Python's own, or one in an environment under .tools."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    python = TOOLS / "pip" / "bin" / "python"
    if not python.exists():
        run([sys.executable, "-m", "venv", "--clear", str(TOOLS / "pip")])
    return [str(python), "-m", "pip"]


def install_uv(pip: Sequence[str]) -> str:
    """Installs the pinned uv in .tools, touching no other environment, and returns its path."""
    wanted = REQUIREMENTS / "tools.txt"
    folder = TOOLS / "uv"
    program, installed = folder / "bin" / "uv", folder / "installed.txt"
    if not (installed.exists() and installed.read_bytes() == wanted.read_bytes()):
        options = ["--quiet", "--upgrade", "--target", str(folder), "--require-hashes"]
        run([*pip, "install", *options, "-r", str(wanted)])
        installed.write_bytes(wanted.read_bytes())
    return str(program)


def make_venv(uv: str, keep: bool) -> None:
    """Creates an empty environment of this Python; `keep` retains one that is already there."""
    python = VENV / "bin" / "python"
    query = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
    if keep and python.exists():
        found = subprocess.run(query, capture_output=True, text=True, check=False)
        if found.stdout.split() == [str(part) for part in sys.version_info[:2]]:
            return
    run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV)])


def install(uv: str, lock: Path, environment: Mapping[str, str]) -> None:
    """Brings .venv to the state of the lock and installs Skymill itself in editable mode."""
    target = ["--python", str(VENV / "bin" / "python")]
    # The lock pins the build dependencies of source packages too; none of these needs a compiler.
    build = ["--build-constraints", str(LOCK), "--require-build-hashes"]
    options = ["--quiet", "--preview-features", "build-dependency-hashes", *target, *build]
    # Bytecode is compiled once here. Where it cannot be written (PYTHONDONTWRITEBYTECODE, a
    # read-only file system) every start would otherwise compile TensorFlow anew, which takes longer
    # than importing it.
    sync = [uv, "pip", "sync", *options, "--compile-bytecode", "--require-hashes", str(lock)]
    run(sync, environment)
    run([uv, "pip", "install", *options, "--no-deps", "--editable", str(REPOSITORY)], environment)


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Runs a command; its failure ends the set-up."""
    if subprocess.run(command, env=environment, check=False).returncode:
        raise SetupError(f"`{' '.join(command)}` failed: see its message above")


def fingerprint(inputs: Sequence[Path]) -> str:
    """Returns a digest of all that the environment depends on; the stamp holds it."""
    state = [platform.python_version().encode(), *(path.read_bytes() for path in inputs)]
    return hashlib.sha256(b"\0".join(state)).hexdigest()


def set_up() -> None:
    """Makes or updates .venv."""
    # Without a stamp it may hold a partial package; the installer's cache makes a new one quickly.
    finished = STAMP.exists()
    STAMP.unlink(missing_ok=True)
    pip = find_pip()
    environment = uv_environment(os.environ, pip)
    uv = install_uv(pip)
    make_venv(uv, keep=finished)
    lock = VENV / "lock.txt"
    lock.write_text(lock_for(glibc_version(), LOCK.read_text(), REPOSITORY / ".wheels", pip))
    print(
        "Installing what requirements/lock.txt lists (the first time a download of 1 GB) ...",
        flush=True,
    )
    install(uv, lock, environment)
    STAMP.write_text(fingerprint(INPUTS))


def set_up_if_needed() -> None:
    """Sets up .venv unless it is complete; in that case only touches the stamp."""
    if STAMP.exists() and STAMP.read_text() == fingerprint(INPUTS):
        STAMP.touch()
        return
    print(f"Setting up .venv with Python {platform.python_version()} ...", flush=True)
    started = time.monotonic()
    set_up()
    print(f"Set up in {time.monotonic() - started:.0f} s.", flush=True)


def main() -> None:
    """Sets up the repository, one process at a time."""
    problem = unsupported(platform.system(), platform.machine(), glibc_version())
    if problem:
        sys.exit(f"set-up: {problem}")
    os.environ |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        try:
            set_up_if_needed()
        except SetupError as error:
            sys.exit(f"set-up: {error}")


if __name__ == "__main__":
    main()
