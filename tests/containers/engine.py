"""A Docker engine from the distribution's packages, for as long as the tests need it."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import docker
from docker.models.containers import Container
from docker.models.images import Image

from components.raster.only_process import LockHeld, only_process

#: An engine that is there already, for instance unix:///var/run/docker.sock.
HOST_VARIABLE = "SKYMILL_DOCKER_HOST"
#: What every container of the tests is denied; a cluster should deny it as well.
CONFINED: Mapping[str, Any] = {
    "network_mode": "none",
    "read_only": True,
    "tmpfs": {"/tmp": "mode=1777"},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}
#: Distributions publish fixes, and images grow: after so long all are made anew.
_KEPT_S = 7 * 24 * 3600
_LEAST_FREE_BYTES = 20 * 10**9
PROGRAMS = ("dockerd", "containerd", "runc", "mmdebstrap")


def missing() -> str | None:
    """Returns why no engine can be started here, or None."""
    if os.geteuid() != 0:
        return f"starting a Docker engine needs root; name one that is there in {HOST_VARIABLE}"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"needs {', '.join(absent)}: make containers installs them on Debian" if absent else None


class Engine(NamedTuple):
    """An engine's client, and the address for other clients."""

    client: docker.DockerClient
    address: str


@contextmanager
def connected(address: str) -> Iterator[Engine]:
    """An engine that is there."""
    client = docker.DockerClient(base_url=address, timeout=600)
    try:
        yield Engine(client, address)
    finally:
        client.close()


@contextmanager
def started() -> Iterator[Engine]:
    """An engine on a socket in a folder of its own, with neither bridges nor firewall rules.

    It is ended by its own id, and all that it made goes with it but its images.
    """
    # Not below pytest's folders: a socket's path has at most 108 characters.
    home = Path(tempfile.mkdtemp(prefix="skymill-docker-"))
    try:
        with _images(home) as images:
            yield from _served(home, images)
    finally:
        # Half a million files: Python's own would take minutes.
        subprocess.run(["rm", "-rf", "--one-file-system", str(home)], check=True)


def _served(home: Path, images: Path) -> Iterator[Engine]:
    options = ["--storage-driver", "overlay2", "--iptables=false", "--bridge=none"]
    options += ["--ip-forward=false", "-H", f"unix://{home}/socket", "-p", f"{home}/pid"]
    options += ["--data-root", str(images), "--exec-root", f"{home}/exec"]
    with (home / "log").open("w") as log:
        engine = subprocess.Popen(
            ["dockerd", *options], stdout=log, stderr=log, start_new_session=True
        )
    try:
        address = f"unix://{home}/socket"
        _wait_for(address, engine, home / "log")
        with connected(address) as made:
            yield made
    finally:
        engine.terminate()
        engine.wait(120)
        _unmount(home)
        _unmount(images)


@contextmanager
def _images(home: Path) -> Iterator[Path]:
    """The folder of images, which Docker takes again where all that a layer is made of is equal.

    It stays for the next run, for some days and while the disk has room; another run at the same
    time has a folder of its own.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skymill/docker"
    with ExitStack() as stack:
        try:
            stack.enter_context(only_process(cache / "lock"))
        except LockHeld:
            yield home / "images"
            return
        images = cache / "images"
        since = cache / "since"
        old = not since.exists() or time.time() - since.stat().st_mtime > _KEPT_S
        if old or shutil.disk_usage(cache).free < _LEAST_FREE_BYTES:
            _unmount(images)
            subprocess.run(["rm", "-rf", "--one-file-system", str(images)], check=True)
            since.touch()
        yield images


def _wait_for(address: str, engine: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert engine.poll() is None, log.read_text()[-3000:]
        try:
            docker.DockerClient(base_url=address).close()  # which asks for its version
            return
        except docker.errors.DockerException:
            time.sleep(0.2)
    raise AssertionError(f"the engine does not answer: {log.read_text()[-3000:]}")


def _unmount(folder: Path) -> None:
    """Unmounts what a killed engine may have left; deepest first."""
    mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for path in sorted((one for one in mounted if one.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", path], check=False)


def build(
    client: docker.DockerClient,
    folder: Path,
    dockerfile: str,
    tag: str,
    target: str | None = None,
    arguments: Mapping[str, str] | None = None,
) -> Image:
    """Builds an image from a Dockerfile as it stands, on the machine's own network."""
    told = []
    for line in client.api.build(
        path=str(folder),
        dockerfile=dockerfile,
        tag=tag,
        target=target,
        buildargs=dict(arguments or {}),
        network_mode="host",
        rm=True,
        forcerm=True,
        decode=True,
    ):
        told.append(line.get("stream") or line.get("error") or "")
        assert "error" not in line, "".join(told[-60:])
    return client.images.get(tag)


@contextmanager
def container(engine: Engine, image: str, **options: Any) -> Iterator[Container]:
    """A container, confined, that is removed in the end whatever it does."""
    made = engine.client.containers.run(image, detach=True, **{**CONFINED, **options})
    try:
        yield made
    finally:
        made.remove(force=True)


def output(
    engine: Engine,
    image: str,
    command: Sequence[str] | None = None,
    timeout_s: float = 240,
    **options: Any,
) -> str:
    """Returns the output of a command in a container; its failure is the test's."""
    with container(engine, image, command=command, **options) as made:
        until = time.monotonic() + timeout_s
        while made.status != "exited" and time.monotonic() < until:
            time.sleep(0.2)
            made.reload()
        told: str = made.logs().decode(errors="replace")
        assert made.status == "exited", f"it did not end: {told[-5000:]}"
        assert made.attrs["State"]["ExitCode"] == 0, told[-5000:]
    return told
