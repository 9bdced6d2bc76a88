"""A network of pods: each has a network namespace and an address of its own, on one bridge.

The names of a cluster's DNS are lines of a file of hosts, written from the endpoints that
Kubernetes' own controller finds: a pod has a name if it has a host name, and its subdomain is a
service that selects it.
"""

import itertools
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_NETWORK = "10.244.0"
_DOMAIN = "svc.cluster.local"


@dataclass
class Sandbox:
    """Network namespace of a pod, which lasts as long as a process in it.

    Attributes:
        process: waits for the end of its input, so that it also ends with this process.
        address: address of the pod; empty if it has only loopback.
    """

    process: subprocess.Popen[bytes]
    address: str = ""

    @classmethod
    def new(cls) -> "Sandbox":
        """Returns a namespace with loopback only."""
        script = "ip link set lo up && echo ready && exec cat"
        process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        return cls(process)

    def command(self, *words: str) -> list[str]:
        """A command as it is run inside of it."""
        return ["nsenter", f"--net=/proc/{self.process.pid}/ns/net", "--", *words]

    def call(self, script: str) -> None:
        """Runs a script inside of it."""
        subprocess.run(self.command("sh", "-euc", script), check=True)

    def close(self) -> None:
        """Ends the namespace with its devices, once nothing else is in it."""
        self.process.kill()
        self.process.communicate()


@dataclass
class PodNetwork:
    """The network.

    Attributes:
        hosts: the file of names, which changes in place while pods have it mounted.
    """

    hosts: Path
    _bridge: Sandbox
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(2))
    _lines: str = ""

    def attach(self) -> Sandbox:
        """A namespace with the next address."""
        number, pod = next(self._numbers), Sandbox.new()
        pod.address = f"{_NETWORK}.{number}"
        self._bridge.call(
            f"ip link add pod{number} type veth peer name eth0 netns {pod.process.pid}\n"
            f"ip link set pod{number} master pods up"
        )
        pod.call(f"ip address add {pod.address}/24 dev eth0 && ip link set eth0 up")
        return pod

    def name(self, slices: Iterable[Json]) -> None:
        """Writes the names of the endpoints that are ready."""
        lines = "127.0.0.1 localhost\n" + "".join(sorted(set(_names(slices))))
        if lines != self._lines:
            with self.hosts.open("r+" if self.hosts.exists() else "w") as file:
                file.write(lines)
                file.truncate()
            self._lines = lines


def no_network() -> str:
    """Returns why no network of pods is possible; empty if one is."""
    missing = [name for name in ("ip", "nsenter", "unshare") if not shutil.which(name)]
    return f"needs {', '.join(missing)}, for a network of pods" if missing else ""


@contextmanager
def pod_network(hosts: Path) -> Iterator[PodNetwork]:
    """A network for as long as the context lasts; it reaches nothing else."""
    bridge = Sandbox.new()
    try:
        bridge.call("ip link add pods type bridge && ip link set pods up")
        network = PodNetwork(hosts, bridge)
        network.name([])
        yield network
    finally:
        bridge.close()


def _names(slices: Iterable[Json]) -> Iterator[str]:
    for one in slices:
        service = one["metadata"]["labels"]["kubernetes.io/service-name"]
        namespace = one["metadata"]["namespace"]
        for endpoint in one.get("endpoints") or []:
            if endpoint.get("hostname") and endpoint["conditions"].get("ready"):
                short = f"{endpoint['hostname']}.{service}"
                [address] = endpoint["addresses"]
                yield f"{address} {short}.{namespace}.{_DOMAIN} {short}.{namespace} {short}\n"
