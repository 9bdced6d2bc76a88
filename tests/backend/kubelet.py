"""A node of a cluster whose containers are processes, each with a file system of its own.

An image is only a name: its programs are found on the path that all containers share. A pod's
users, resources and probes are ignored. A pod with a subdomain has an address of its own, if there
is a network of pods; all others share that of the node.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes import client

from tests.backend.cluster import Cluster
from tests.backend.network import PodNetwork, Sandbox
from tests.backend.pod_files import PodFiles, expanded
from tests.loopback import QuietHandler, http_server, make_certificate, tls_of

Json = dict[str, Any]

NODE = "loopback"

_POLL_S = 0.2
_SCRIPT = Path(__file__).with_name("container.sh")


@dataclass
class Kubelet:
    """Runs the pods of a namespace.

    Attributes:
        cluster: cluster of the pods.
        folder: logs, volumes and claims.
        programs: folders of programs, which are the path of every container.
        seen: further folders that containers see.
        hosts: names that containers resolve to loopback.
        variables: environment variables of every container.
        network: network of pods with a subdomain.
        namespace: namespace of the pods.
    """

    cluster: Cluster
    folder: Path
    programs: Sequence[Path]
    seen: Sequence[Path]
    hosts: Sequence[str]
    variables: Mapping[str, str]
    network: PodNetwork | None = None
    namespace: str = "kubeflow"
    _pods: dict[str, threading.Thread] = field(default_factory=dict)
    _running: dict[str, list[subprocess.Popen[bytes]]] = field(default_factory=dict)
    _containers: dict[tuple[str, str], subprocess.Popen[bytes]] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def claims(self) -> Path:
        """Persistent volume claims, a folder each."""
        return self.folder / "claims"

    def log(self, pod: str, container: str) -> Path:
        """The output of a container."""
        return self.folder / "logs" / pod / f"{container}.log"

    def execute(self, pod: str, container: str, command: Sequence[str]) -> None:
        """Runs a command in a container, unless that has ended."""
        outer = self._containers[pod, container].pid
        children = Path(f"/proc/{outer}/task/{outer}/children")
        for inner in children.read_text().split() if children.exists() else []:
            words = ["nsenter", f"--target={inner}", "--mount", "--pid", "--root", "--", *command]
            subprocess.run(words, check=False)

    def kill(self, pod: str, container: str) -> None:
        """Kills a container, as a kernel without memory does."""
        _signal(self._containers[pod, container], signal.SIGKILL)

    def has_ended(self, pod: str, container: str) -> bool:
        """Checks whether a container writes no more to its log."""
        return self._containers[pod, container].poll() is not None

    def serve(self) -> None:
        """Runs pods until `stop`, and ends those that run then."""
        for name in ("logs", "pods", "claims"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        names = " ".join(("localhost", *self.hosts))
        (self.folder / "hosts").write_text(f"127.0.0.1 {names}\n")
        folders = [str(one) for one in (*self.programs, *self.seen)]
        (self.folder / "folders").write_text("".join(f"{one}\n" for one in _outer(folders)))
        while not self._stopped.wait(_POLL_S):
            if self.network:
                self.network.name(self._listed("discovery.k8s.io/v1", "endpointslices"))
            for pod in self._listed("v1", "pods"):
                uid = pod["metadata"]["uid"]
                if uid not in self._pods and not pod.get("status", {}).get("containerStatuses"):
                    self._pods[uid] = threading.Thread(target=self._run, args=(pod,))
                    self._pods[uid].start()
                elif pod["metadata"].get("deletionTimestamp"):
                    self._end(uid)
        for uid in list(self._running):
            self._end(uid)
        for thread in self._pods.values():
            thread.join()

    def stop(self) -> None:
        self._stopped.set()

    def _listed(self, group: str, resource: str) -> list[Json]:
        api = self.cluster.admin(self.namespace)
        found = api.find(api.path(group, resource)) or {}
        return list(found.get("items", []))

    def _run(self, pod: Json) -> None:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        self._running[uid] = []
        api = self.cluster.admin(self.namespace)
        files = PodFiles(api, pod, self.folder / "pods" / uid, self.claims)
        target = client.V1ObjectReference(kind="Node", api_version="v1", name=NODE)
        binding = client.V1Binding(metadata=client.V1ObjectMeta(name=name), target=target)
        client.CoreV1Api(self.cluster.client()).create_namespaced_binding(
            self.namespace, binding, _preload_content=False
        )
        states = _States(pod)
        sandbox = self.network.attach() if self.network and pod["spec"].get("subdomain") else None
        try:
            files.lay_out()
            if sandbox:
                own = sandbox.address
                self._report(name, {**states.all(), "podIP": own, "podIPs": [{"ip": own}]})
            for container in pod["spec"].get("initContainers", []):
                process = self._start(files, container, sandbox)
                self._report(name, states.begun(container))
                if code := self._wait(process):
                    self._report(name, states.ended(container, code), "Failed")
                    return
                self._report(name, states.ended(container, 0))
            begun = [(one, self._start(files, one, sandbox)) for one in pod["spec"]["containers"]]
            for container, _ in begun:
                states.begun(container)
            self._report(name, states.all(), "Running")
            self._wait_for(name, begun, states)
        except Exception as error:  # a kubelet continues with the other pods
            for process in self._running.get(uid, []):
                _signal(process, signal.SIGKILL)
            self._report(name, states.all(), "Failed", f"{type(error).__name__}: {error}")
        finally:
            if sandbox:
                sandbox.close()
            self._gone(pod)
            files.remove()

    def _wait_for(
        self, name: str, begun: list[tuple[Json, subprocess.Popen[bytes]]], states: "_States"
    ) -> None:
        codes: list[int] = []
        waiting = list(begun)
        while waiting:
            time.sleep(0.05)
            for one in list(waiting):
                if one[1].poll() is not None:
                    waiting.remove(one)
                    codes.append(_code(one[1].returncode))
                    states.ended(one[0], codes[-1])
                    if waiting:
                        self._report(name, states.all(), "Running")
        self._report(name, states.all(), "Failed" if any(codes) else "Succeeded")

    def _start(
        self, files: PodFiles, container: Json, sandbox: Sandbox | None
    ) -> subprocess.Popen[bytes]:
        pod = files.pod["metadata"]
        root = files.folder / f"root-{container['name']}"
        root.mkdir(parents=True)
        hostname = files.folder / "hostname"
        hostname.write_text(pod["name"])
        hosts = self.network.hosts if self.network and sandbox else self.folder / "hosts"
        mounts = [(hosts, "/etc/hosts"), (hostname, "/etc/hostname")]
        mounts += files.mounts(container)
        targets = files.folder / f"targets-{container['name']}"
        targets.write_text("".join(f"{source}\t{target}\n" for source, target in mounts))
        api = urlsplit(self.cluster.client().configuration.host)
        variables = {
            "PATH": ":".join([*map(str, self.programs), os.environ["PATH"]]),
            "HOME": "/tmp",
            "KUBERNETES_SERVICE_HOST": str(api.hostname),
            "KUBERNETES_SERVICE_PORT": str(api.port),
            **self.variables,
            **files.variables(container),
        }
        words = [*container.get("command", []), *container.get("args", [])]
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--"]
        command += ["sh", str(_SCRIPT), str(root), str(self.folder / "folders"), str(targets), "--"]
        command += [expanded(word, variables) for word in words]
        command = sandbox.command(*command) if sandbox else command
        log = self.log(pod["name"], container["name"])
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=variables,
                start_new_session=True,
            )
        self._running[pod["uid"]].append(process)
        self._containers[pod["name"], container["name"]] = process
        return process

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        return _code(process.wait())

    def _end(self, uid: str) -> None:
        """Asks the processes of a pod to end, and ends those that do not after a while."""
        processes = [one for one in self._running.pop(uid, []) if one.poll() is None]
        for process in processes:
            _signal(process, signal.SIGTERM)
        if processes:
            threading.Timer(10, lambda: [_signal(one, signal.SIGKILL) for one in processes]).start()

    def _gone(self, pod: Json) -> None:
        """Confirms the deletion of a pod whose containers have ended."""
        self._running.pop(pod["metadata"]["uid"], None)
        api = self.cluster.admin(self.namespace)
        found = api.find(api.path("v1", "pods", pod["metadata"]["name"]))
        if found and found["metadata"].get("deletionTimestamp"):
            core = client.CoreV1Api(self.cluster.client())
            core.delete_namespaced_pod(
                pod["metadata"]["name"], self.namespace, grace_period_seconds=0
            )

    def _report(self, name: str, status: Json, phase: str = "Pending", message: str = "") -> None:
        status = {**status, "phase": phase, **({"message": message} if message else {})}
        core = client.CoreV1Api(self.cluster.client())
        try:
            core.patch_namespaced_pod_status(name, self.namespace, {"status": status})
        except client.ApiException as error:
            if error.status != 404:
                raise


class _States:
    """The known states of a pod's containers."""

    def __init__(self, pod: Json) -> None:
        self._init = self._waiting(pod["spec"].get("initContainers", []))
        self._main = self._waiting(pod["spec"]["containers"])

    def begun(self, container: Json) -> Json:
        return self._set(container, {"running": {"startedAt": _now()}})

    def ended(self, container: Json, code: int) -> Json:
        known = self._of(container)["state"].get("running", {"startedAt": _now()})
        reason = "Error" if code else "Completed"
        ended = {"exitCode": code, "reason": reason, "finishedAt": _now(), **known}
        return self._set(container, {"terminated": ended})

    def all(self) -> Json:
        return {
            "initContainerStatuses": list(self._init.values()),
            "containerStatuses": list(self._main.values()),
        }

    def _set(self, container: Json, state: Json) -> Json:
        self._of(container)["state"] = state
        return self.all()

    def _of(self, container: Json) -> Json:
        found: Json = (self._init | self._main)[container["name"]]
        return found

    def _waiting(self, containers: Sequence[Json]) -> dict[str, Json]:
        return {
            one["name"]: {
                "name": one["name"],
                "image": one["image"],
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"waiting": {"reason": "PodInitializing"}},
            }
            for one in containers
        }


def unable(cluster: Cluster) -> str:
    """Returns why no node is possible; empty if one is."""
    if not cluster.own:
        return "the cluster has nodes of its own"
    if os.getuid() or not all(map(shutil.which, ("unshare", "chroot", "mount"))):
        return "needs root on Linux, for containers"
    return ""


@contextmanager
def node(
    cluster: Cluster,
    folder: Path,
    programs: Sequence[Path],
    seen: Sequence[Path] = (),
    hosts: Sequence[str] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
    network: PodNetwork | None = None,
) -> Iterator[Kubelet]:
    """A node on loopback that runs the pods of a cluster's namespace `kubeflow`."""
    kubelet = Kubelet(cluster, folder, programs, seen, hosts, variables, network)
    with http_server(_requests(kubelet), tls_of(make_certificate(folder / "kubelet.pem"))) as url:
        _register(cluster, int(urlsplit(url).port or 0))
        thread = threading.Thread(target=kubelet.serve)
        thread.start()
        try:
            yield kubelet
        finally:
            kubelet.stop()
            thread.join()
            client.CoreV1Api(cluster.client()).delete_node(NODE)


def _register(cluster: Cluster, port: int) -> None:
    core = client.CoreV1Api(cluster.client())
    core.create_node({"metadata": {"name": NODE}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    core.patch_node_status(NODE, {"status": status})


def _requests(kubelet: Kubelet) -> type[QuietHandler]:
    class Handler(QuietHandler):
        """Answers the API server's requests for logs and for commands.

        A command is run and then refused, since its streams would need a protocol that is not
        implemented here. Argo's controller, which signals containers this way, ignores the answer.
        """

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            _, kind, _, pod, container = url.path.split("/")
            assert kind == "containerLogs"
            follow = parse_qs(url.query).get("follow") == ["true"]
            path = kubelet.log(pod, container)
            if not path.exists():  # with a real kubelet's answer
                self.send_error(400, f"container {container} of {pod} is waiting to start")
                return
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            with path.open("rb") as log:
                while True:
                    last = not follow or kubelet.has_ended(pod, container)
                    self.wfile.write(log.read())
                    if last:
                        return
                    time.sleep(0.1)

        def do_POST(self) -> None:
            url = urlsplit(self.path)
            _, kind, _, pod, container = url.path.split("/")
            assert kind == "exec"
            kubelet.execute(pod, container, parse_qs(url.query)["command"])
            self.send_response(501)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler


def _outer(folders: Sequence[str]) -> list[str]:
    """Folders without those that lie in another of them or in one of the system."""
    system = ["/bin", "/lib", "/sbin", "/usr"]
    found: list[str] = []
    for one in sorted(set(folders)):
        if not any(Path(one).is_relative_to(outer) for outer in [*system, *found]):
            found.append(one)
    return found


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Sends a signal to a container: its first process is the only child of `unshare`."""
    if process.poll() is None:
        os.killpg(process.pid, number)


def _code(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
