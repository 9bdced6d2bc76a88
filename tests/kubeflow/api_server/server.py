"""The REST API of Kubeflow Pipelines (v2beta1) on loopback, with the proxies before it."""

import email
import json
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.kubeflow.api_server import models
from tests.kubeflow.api_server.listing import page
from tests.kubeflow.api_server.refusals import UNAUTHENTICATED, Refusal, invalid, not_found
from tests.kubeflow.api_server.store import Store
from tests.loopback import QuietHandler, http_server

Json = dict[str, Any]
Guard = Callable[[Any], "Page | None"]

_LISTS = {
    "runs": ("runs", "V2beta1ListRunsResponse"),
    "recurringruns": ("recurring_runs", "V2beta1ListRecurringRunsResponse"),
    "experiments": ("experiments", "V2beta1ListExperimentsResponse"),
    "pipelines": ("pipelines", "V2beta1ListPipelinesResponse"),
}
_LOG = re.compile("/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log")
_OLD_RUN = re.compile("/apis/v1beta1/runs/([^/]+)")
_MODELS = {
    "runs": "V2beta1Run",
    "recurringruns": "V2beta1RecurringRun",
    "experiments": "V2beta1Experiment",
    "pipelines": "V2beta1Pipeline",
}


@dataclass(frozen=True)
class Page(Exception):
    """A web page, as returned by a login or a proxy."""

    status: int
    text: str = "<!doctype html><title>Log in</title>"
    location: str = ""


@dataclass
class Api:
    """A running stand-in.

    Attributes:
        requests: method and path of every request, in order.
        headers: the headers of the last request to the API.
        broken: number of the next requests that fail.
        prefix: the path that a gateway has the API at.
        old_api: pages that the next requests to version 1 of the API get.
    """

    store: Store
    url: str = ""
    guard: Guard | None = None
    requests: list[str] = field(default_factory=list)
    headers: Any = None
    id_tokens: dict[str, str] = field(default_factory=dict)
    broken: int = 0
    prefix: str = ""
    old_api: list["Page"] = field(default_factory=list)


def bearer(tokens: set[str]) -> Guard:
    """An API that asks for a token, as one with several users does."""

    def guard(headers: Any) -> None:
        kind, _, token = (headers["Authorization"] or "").partition(" ")
        if kind != "Bearer" or token not in tokens:
            raise Refusal(
                UNAUTHENTICATED,
                "Unauthenticated: Failed to check authorization. User identity is empty in the "
                "request header",
            )

    return guard


def dex(sessions: set[str]) -> Guard:
    """A gateway that redirects requests without a session to the login."""

    def guard(headers: Any) -> Page | None:
        cookies = dict(
            one.strip().partition("=")[::2] for one in (headers["Cookie"] or "").split(";")
        )
        if cookies.get("authservice_session") in sessions:
            return None
        return Page(302, location="/dex/auth")

    return guard


def iap(tokens: set[str]) -> Guard:
    """Google's proxy, which answers with a page."""

    def guard(headers: Any) -> Page | None:
        kind, _, token = (headers["Authorization"] or "").partition(" ")
        fits = kind == "Bearer" and token in tokens
        return None if fits else Page(401, "<html>Invalid IAP credentials: empty token</html>")

    return guard


@contextmanager
def api_server(
    store: Store | None = None, guard: Guard | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Api]:
    """Runs a stand-in on a free port of loopback."""
    api = Api(store or Store(), guard=guard)
    with http_server(_handler(api), tls) as api.url:
        yield api


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(QuietHandler):
        wbufsize = -1

        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def do_DELETE(self) -> None:
            self._answer("DELETE")

        def _answer(self, method: str) -> None:
            url = urlsplit(self.path.removeprefix(api.prefix))
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            api.requests.append(f"{method} {url.path}")
            try:
                if not self.path.startswith(api.prefix):
                    raise Page(404)
                if url.path == "/dex/auth":
                    raise Page(200)
                if url.path == "/token":
                    self._json(200, _exchange(api, dict(parse_qsl(body.decode()))))
                    return
                api.headers = self.headers
                if api.broken:
                    api.broken -= 1
                    raise Page(503, "<html>no healthy upstream</html>")
                if api.guard and (stopped := api.guard(self.headers)):
                    raise stopped
                query = dict(parse_qsl(url.query))
                if log := _LOG.fullmatch(url.path):
                    gone = json.dumps({"error_message": "pod not found", "error_details": ""})
                    text = api.store.logs.get((log[1], log[2]), gone)
                    self._send(200, "text/plain", text.encode())
                    return
                if old := _OLD_RUN.fullmatch(url.path):
                    if api.old_api:
                        raise api.old_api.pop()
                    self._json(200, api.store.shown_run_v1(old[1]))
                    return
                path = url.path.removeprefix("/apis/v2beta1/")
                if path == "pipelines/upload_version":
                    self._json(200, _upload(api.store, query, self.headers, body))
                    return
                tree = json.loads(body) if body else None
                self._json(200, _route(api.store, method, path, query, tree))
            except Page as page_:
                self._send(page_.status, "text/html", page_.text.encode(), page_.location)
            except Refusal as error:
                upload = url.path.endswith("/upload_version")
                reported = {"error_message": error.message, "error_details": error.message}
                self._json(error.status, reported if upload else error.body())

        def _json(self, status: int, tree: Json) -> None:
            self._send(status, "application/json", json.dumps(tree).encode())

        def _send(self, status: int, kind: str, body: bytes, location: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _route(store: Store, method: str, path: str, query: dict[str, str], tree: Any) -> Json:
    noun, _, rest = path.partition("/")
    if (method, path) == ("GET", "healthz"):
        release = {"commit_sha": "unknown", "tag_name": "2.17.0" if store.mlmd else "unknown"}
        return {**release, "multi_user": store.multi_user}
    if (method, path) == ("GET", "artifacts") and not store.mlmd:
        return {}
    if noun not in _LISTS:
        raise not_found(path)
    part, many = _LISTS[noun]
    where = getattr(store, part.removesuffix("_runs") if part == "recurring_runs" else part)
    if versions := re.fullmatch("([^/]+)/versions", rest):
        own = [v for v in store.versions.values() if v["pipeline_id"] == versions[1]]
        found = page("pipeline_versions", own, query)
        return models.response("V2beta1ListPipelineVersionsResponse", **found)
    if version := re.fullmatch("[^/]+/versions/([^/]+)", rest):
        return models.response("V2beta1PipelineVersion", **store.version(version[1]))
    if not rest:
        if method == "POST":
            return _create(store, noun, tree)
        items = _of_namespace(store, list(where.values()), query)
        return models.response(many, **page(part, items, query))
    key, _, verb = rest.partition(":")
    if method == "POST" and noun == "recurringruns" and verb in ("enable", "disable"):
        return store.set_mode(key, verb.upper())
    if method == "POST" and noun == "runs" and verb in ("terminate", "retry"):
        return store.terminate(key) if verb == "terminate" else store.retry(key)
    if method == "DELETE" and noun == "recurringruns":
        return store.delete_recurring(key)
    if method == "GET" and noun == "runs":
        return store.shown_run(key, query.get("view", ""))
    if method == "GET":
        return _shown(noun, store.get(where, key, noun))
    raise not_found(f"{method} {path}")


def _create(store: Store, noun: str, tree: Any) -> Json:
    models.request(_MODELS[noun], tree)
    create = {
        "runs": store.create_run,
        "recurringruns": store.create_recurring,
        "experiments": store.create_experiment,
        "pipelines": store.create_pipeline,
    }
    return _shown(noun, create[noun](tree))


def _shown(noun: str, one: Json) -> Json:
    return models.response(_MODELS[noun], **one)


def _of_namespace(store: Store, items: list[Json], query: dict[str, str]) -> list[Json]:
    if not store.multi_user:
        return items
    namespace = query.get("namespace", "")
    if not namespace:
        raise invalid("A run cannot have an empty namespace in multi-user mode")
    homes = {one["experiment_id"]: one["namespace"] for one in store.experiments.values()}
    return [
        one
        for one in items
        if namespace == (homes.get(one.get("experiment_id", "")) or one.get("namespace"))
    ]


def _upload(store: Store, query: dict[str, str], headers: Any, body: bytes) -> Json:
    text = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body
    message = email.message_from_bytes(text)
    parts = message.get_payload()
    assert isinstance(parts, list)
    [file] = parts
    if not str(file.get_filename()).endswith((".yaml", ".yml", ".json")):
        raise Refusal(3, "Failed to create a pipeline version")
    content = file.get_payload(decode=True)
    assert isinstance(content, bytes)
    made = store.upload_version(query.get("pipelineid", ""), query["name"], content.decode())
    return models.response("V2beta1PipelineVersion", **made)


def _exchange(api: Api, form: dict[str, str]) -> Json:
    """Google's token service: a refresh token becomes an id token for an audience."""
    return {"id_token": api.id_tokens[f"{form['refresh_token']}@{form['audience']}"]}
