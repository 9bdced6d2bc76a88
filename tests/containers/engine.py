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

#: An existing engine, for instance unix:///var/run/docker.sock.
HOST_VARIABLE = "SKYMILL_DOCKER_HOST"
#: Restrictions of every container of the tests, which a cluster should set as well.
CONFINED: Mapping[str, Any] = {
    "network_mode": "none",
    "read_only": True,
    "tmpfs": {"/tmp": "mode=1777"},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
}
#: Seconds after which all images are rebuilt, since distributions publish fixes.
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
    """Connects to an existing engine."""
    client = docker.DockerClient(base_url=address, timeout=600)
    try:
        yield Engine(client, address)
    finally:
        client.close()


@contextmanager
def started() -> Iterator[Engine]:
    """An engine on a socket in a folder of its own, with neither bridges nor firewall rules.

    It is ended by its own id, and everything that it made except its images is removed.
    """
    # Not below pytest's folders: a socket's path has at most 108 characters.
    home = Path(tempfile.mkdtemp(prefix="skymill-docker-"))
    try:
        with _images(home) as images:
            yield from _served(home, images)
    finally:
        # Half a million files, for which Python's own function takes minutes.
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
    """Yields the folder of images, from which Docker reuses unchanged layers.

    It is kept for later runs, for some days and while the disk has space; a concurrent run has a
    folder of its own.
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
    result = []
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
        result.append(line.get("stream") or line.get("error") or "")
        assert "error" not in line, "".join(result[-60:])
    return client.images.get(tag)


@contextmanager
def container(engine: Engine, image: str, **options: Any) -> Iterator[Container]:
    """Yields a confined container, which is always removed at the end."""
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
        result: str = made.logs().decode(errors="replace")
        assert made.status == "exited", f"it did not end: {result[-5000:]}"
        assert made.attrs["State"]["ExitCode"] == 0, result[-5000:]
    return result
