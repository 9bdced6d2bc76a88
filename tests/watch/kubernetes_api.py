"""The ConfigMaps of a Kubernetes API server on loopback, with its refusals."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.loopback import QuietHandler, http_server

TOKEN = "a-token-of-an-account"


@dataclass
class Cluster:
    """ConfigMaps by namespace and name, the requests, and the rights of an account."""

    url: str = ""
    maps: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    allowed: set[str] = field(default_factory=lambda: {"get", "update"})
    version: int = 100
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, namespace: str, name: str, tree: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        metadata = {**tree.get("metadata", {}), "name": name, "namespace": namespace}
        kept = {
            **tree,
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {**metadata, "resourceVersion": str(self.version)},
        }
        self.maps[namespace, name] = kept
        return kept


@contextmanager
def kubernetes_api() -> Iterator[Cluster]:
    """A server with no ConfigMap yet."""
    cluster = Cluster()

    class Handler(_Handler):
        held = cluster

    with http_server(Handler) as cluster.url:
        yield cluster


class _Handler(QuietHandler):
    held: Cluster

    def do_GET(self) -> None:
        self._answer("get")

    def do_PUT(self) -> None:
        self._answer("update")

    def _answer(self, verb: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        _, _, _, _, namespace, resource, name = self.path.split("?")[0].split("/")
        assert resource == "configmaps", self.path
        with self.held.lock:
            self.held.asked.append((verb, name))
            status, tree = self._decide(verb, namespace, name, body)
        data = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _decide(self, verb: str, namespace: str, name: str, body: bytes) -> tuple[int, Any]:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _refusal(401, "Unauthorized", "Unauthorized")
        if verb not in self.held.allowed:
            return _refusal(403, "Forbidden", f'cannot {verb} resource "configmaps"')
        found = self.held.maps.get((namespace, name))
        if found is None:
            return _refusal(404, "NotFound", f'configmaps "{name}" not found')
        if verb == "get":
            return 200, found
        given = json.loads(body)
        version = given["metadata"].get("resourceVersion")
        if version and version != found["metadata"]["resourceVersion"]:
            return _refusal(409, "Conflict", "the object has been modified")
        return 200, self.held.put(namespace, name, given)


def _refusal(code: int, reason: str, message: str) -> tuple[int, Any]:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    return code, {**status, "code": code, "reason": reason, "message": message}
