"""The Kubernetes API on loopback: objects by their paths, access reviews, logs of pods."""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kubernetes import client

from pipelines.kubeflow.cluster.api import KubernetesApi
from tests.loopback import QuietHandler, http_server

Json = dict[str, Any]

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Cluster:
    """The state of the API server.

    Attributes:
        objects: by path, such as `/api/v1/namespaces/kubeflow/pods/a`.
        denied: (verb, resource) pairs that reviews answer no to.
        forbidden: resources that may not be read, created or deleted.
        created: called with each object that is created.
        deleted: called with each object that is deleted.
        logs: lines of each pod's log, which may grow; None at the end is the end of its container.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.denied: set[tuple[str, str]] = set()
        self.forbidden: set[str] = set()
        self.created: Callable[[Json], None] = lambda _: None
        self.deleted: Callable[[Json], None] = lambda _: None
        self.logs: dict[str, list[str | None]] = {}
        self.requests: list[str] = []
        self._versions = itertools.count(1)
        self._lock = threading.RLock()

    def put(self, group: str, resource: str, body: Json, namespace: str = "kubeflow") -> Json:
        """Puts an object there, as `kubectl apply` would."""
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        return self.create(f"{root}/namespaces/{namespace}/{resource}", body)

    def create(self, path: str, body: Json) -> Json:
        with self._lock:
            number = next(self._versions)
            given = body["metadata"]
            metadata = {"uid": f"uid-{number}", "resourceVersion": str(number), **given}
            found = {**body, "metadata": metadata}
            self.objects[f"{path}/{given['name']}"] = found
        self.created(found)
        return found

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Json]:
        """The status and body of an answer."""
        parts = path.split("/")
        resource = next((one for one in parts if one in self.forbidden), "")
        if resource:
            return 403, _status(403, f"{resource} is forbidden: User cannot {method} resource")
        if path == _REVIEWS:
            asked = body["spec"]["resourceAttributes"]
            allowed = (asked["verb"], asked["resource"]) not in self.denied
            return 201, {**body, "status": {"allowed": allowed}}
        with self._lock:
            known = self.objects.get(path)
        if method == "GET" and known is None and query:
            labels = dict(one.split("=") for one in query["labelSelector"].split(","))
            return 200, {"kind": "List", "items": self.listed(path, labels)}
        if method == "POST":
            if f"{path}/{body['metadata']['name']}" in self.objects:
                return 409, _status(409, "already exists")
            return 201, self.create(path, body)
        if known is None:
            return 404, _status(404, f"{parts[-2]} {parts[-1]!r} not found")
        if method == "DELETE":
            with self._lock:
                self.objects.pop(path, None)
            self.deleted(known)
        return 200, known

    def listed(self, path: str, labels: dict[str, str]) -> list[Json]:
        with self._lock:
            found = [one for name, one in self.objects.items() if name.rpartition("/")[0] == path]
        return [one for one in found if labels.items() <= one["metadata"].get("labels", {}).items()]


@contextmanager
def kubernetes_api(namespace: str = "kubeflow") -> Iterator[tuple[Cluster, KubernetesApi]]:
    """A cluster, and the API that a client of it uses."""
    cluster = Cluster()
    with http_server(_handler(cluster)) as url:
        configuration = client.Configuration(host=url)
        configuration.retries = False
        yield cluster, KubernetesApi(client.ApiClient(configuration), namespace)


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(QuietHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path.endswith("/log"):
                self._log(url.path.split("/")[-2])
            else:
                self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def do_DELETE(self) -> None:
            self._answer("DELETE")

        def _answer(self, method: str) -> None:
            url = urlsplit(self.path)
            cluster.requests.append(f"{method} {url.path}")
            text = self.rfile.read(int(self.headers["Content-Length"] or 0))
            body = json.loads(text) if text else None
            status, tree = cluster.answer(method, url.path, dict(parse_qsl(url.query)), body)
            reported = json.dumps(tree).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reported)))
            self.end_headers()
            self.wfile.write(reported)

        def _log(self, pod: str) -> None:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in itertools.count():
                while len(cluster.logs.setdefault(pod, [])) <= number:
                    time.sleep(0.02)
                line = cluster.logs[pod][number]
                text = b"" if line is None else f"{line}\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
                if line is None:
                    return

    return Handler


def _status(code: int, message: str) -> Json:
    return {"kind": "Status", "status": "Failure", "code": code, "message": message}
