"""Events on a socket: senders and events that may wake a watch, and refused ones."""

import base64
import hashlib
import hmac
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent
from pydantic import ValidationError

from components.raster.errors import ConfigError
from pipelines.config.watch import EndpointConfig
from pipelines.watch.endpoint import Bounds, EndpointSettings, served
from pipelines.watch.events import BadEvent, buckets_of, concerns, secret_of
from pipelines.watch.metrics import Gauges
from pipelines.watch.state import WatchError, WatchState

SECRET = "0123456789abcdef0123456789abcdef"
SOURCE = "gs://imagery/landcover"
BODY_LIMIT = 4096


def stored(bucket: str = "imagery") -> CloudEvent:
    """As Eventarc sends it when an object of Cloud Storage is complete."""
    return CloudEvent(
        {
            "type": "google.cloud.storage.object.v1.finalized",
            "source": f"//storage.googleapis.com/projects/_/buckets/{bucket}",
            "subject": "objects/landcover/river/1.jpg",
        },
        {"bucket": bucket, "name": "landcover/river/1.jpg"},
    )


def pushed(attributes: dict[str, str] | None = None, data: bytes = b"{}") -> bytes:
    """As Pub/Sub pushes a message to an endpoint."""
    message: dict[str, Any] = {"data": base64.b64encode(data).decode(), "messageId": "1"}
    if attributes:
        message["attributes"] = attributes
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()


def notified(bucket: str = "imagery") -> bytes:
    """As S3 and MinIO notify."""
    record = {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": bucket}}}
    return json.dumps({"Records": [record]}).encode()


@dataclass
class Watch:
    """A running endpoint, and how often it was woken."""

    url: str = ""
    rung: list[bool] = field(default_factory=list)
    gauges: Gauges = field(default_factory=Gauges)

    def send(self, body: bytes, headers: dict[str, str] | None = None) -> int:
        request = urllib.request.Request(f"{self.url}/events", body, headers or {})
        return self._status(request)

    def get(self, path: str) -> int:
        return self._status(urllib.request.Request(self.url + path))

    def _status(self, request: urllib.request.Request) -> int:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    @contextmanager
    def line(self) -> Iterator[socket.socket]:
        host, port = self.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as found:
            yield found


@contextmanager
def watch(
    secret: str | None = None, check: Any = "bearer", bounds: Bounds | None = None
) -> Iterator[Watch]:
    found = Watch()
    settings = EndpointSettings(
        lambda: found.rung.append(True), SOURCE, secret, check, BODY_LIMIT, bounds or Bounds()
    )
    with served(settings, found.gauges, "127.0.0.1", 0) as port:
        found.url = f"http://127.0.0.1:{port}"
        yield found


def headers_and_body(event: CloudEvent, convert: Callable[..., Any]) -> tuple[bytes, dict]:
    headers, body = convert(event)
    return body, dict(headers)


def test_events_of_every_kind_wake() -> None:
    with watch() as it:
        for body, headers in (
            headers_and_body(stored(), to_binary),
            headers_and_body(stored(), to_structured),
            (pushed({"bucketId": "imagery", "eventType": "OBJECT_FINALIZE"}), {}),
            (pushed(data=b'{"bucket": "imagery"}'), {}),
            (pushed(data=b"not json"), {}),
            (notified(), {}),
        ):
            before = len(it.rung)
            assert it.send(body, headers) == 204
            assert len(it.rung) == before + 1


def test_events_of_another_bucket_do_not() -> None:
    with watch() as it:
        for body, headers in (
            headers_and_body(stored("other"), to_binary),
            (pushed({"bucketId": "other"}), {}),
            (notified("other"), {}),
        ):
            assert it.send(body, headers) == 204
    assert it.rung == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b"{}",
        b'{"specversion": "1.0"}',
        b'{"specversion": "9.9", "type": "t", "source": "s", "id": "1"}',
        b'{"Records": [{"s3": {}}]}',
        b'{"message": {"data": "%%%"}, "subscription": "s"}',
        b"[" * 4000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_event_is_turned_away(body: bytes) -> None:
    with watch() as it:
        assert it.send(body) == 400
    assert it.rung == []


def test_a_body_is_bounded_declared_or_not() -> None:
    with watch() as it:
        assert it.send(b"x" * (BODY_LIMIT + 1)) == 413
        with it.line() as line:
            line.sendall(b"POST /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            line.sendall(b"".join(b"400\r\n" + b"x" * 1024 + b"\r\n" for _ in range(8)))
            line.sendall(b"0\r\n\r\n")
            assert line.recv(100).split()[1] == b"413"
    assert it.rung == []


def test_a_bearer_token_is_asked_for() -> None:
    body = notified()
    with watch(SECRET) as it:
        for headers in (
            {},
            {"Authorization": "Bearer"},
            {"Authorization": f"Bearer {SECRET[:-1]}"},
            {"Authorization": f"Basic {SECRET}"},
            {"Authorization": "Bearer gef\xe4lscht"},
        ):
            assert it.send(body, headers) == 401
        assert it.rung == []
        assert it.send(body, {"Authorization": f"Bearer {SECRET}"}) == 204
        assert it.send(b"hello", {"Authorization": f"Bearer {SECRET}"}) == 400
    assert len(it.rung) == 1


def test_a_signature_covers_the_body() -> None:
    body = notified()
    right = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    with watch(SECRET, "hmac") as it:
        assert it.send(body, {"X-Hub-Signature-256": f"sha256={right}"}) == 204
        assert it.send(body + b" ", {"X-Hub-Signature-256": f"sha256={right}"}) == 401
        assert it.send(body, {"X-Hub-Signature-256": right}) == 401
        assert it.send(body, {"Authorization": f"Bearer {SECRET}"}) == 401
    assert len(it.rung) == 1


HEAD = b"POST /events HTTP/1.1\r\nHost: x\r\n"
SIGNED = f"X-Hub-Signature-256: sha256={'0' * 64}\r\n".encode()
QUICK = Bounds(header_timeout_s=0.2, body_timeout_s=0.3, idle_timeout_s=0.3, max_connections=4)


def answer(line: socket.socket) -> int:
    """The status of what comes next; 0 where the connection ends instead."""
    got = line.recv(4000)
    return int(got.split()[1]) if got else 0


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", 0),
        (HEAD, 0),
        (HEAD + b"X: " + b"h" * 9000 + b"\r\n\r\n", 400),
        (b"no HTTP at all\r\n\r\n", 400),
        (HEAD + b"Content-Length: 100\r\n\r\nhalf", 408),
        (HEAD + b"Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n", 413),
        (HEAD + b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n", 100),
        (HEAD + b"Content-Length: 10\r\nContent-Encoding: gzip\r\n\r\n", 415),
    ],
)
def test_heads_and_bodies_have_limits_of_size_and_time(sent: bytes, status: int) -> None:
    with watch(bounds=QUICK) as it, it.line() as line:
        line.sendall(sent)
        assert answer(line) == status


@pytest.mark.parametrize(
    ("check", "header", "status"),
    [
        ("bearer", b"", 401),
        ("bearer", b"Authorization: Bearer wrong\r\n", 401),
        ("hmac", b"", 401),
        ("hmac", b"X-Hub-Signature-256: sha256=short\r\n", 401),
        ("hmac", SIGNED, 408),
        ("bearer", f"Authorization: Bearer {SECRET}\r\n".encode(), 408),
    ],
)
def test_a_body_is_taken_only_of_who_may_know_the_secret(
    check: str, header: bytes, status: int
) -> None:
    """Its first byte is not there when the others are refused."""
    with watch(SECRET, check, QUICK) as it, it.line() as line:
        line.sendall(HEAD + header + b"Content-Length: 100\r\n\r\n")
        assert answer(line) == status


def test_slow_senders_leave_room_for_others() -> None:
    with watch(bounds=QUICK) as it, ExitStack() as lines:
        for _ in range(12):
            lines.enter_context(it.line()).sendall(HEAD)
        assert it.get("/healthz") == 200
        assert it.send(notified()) == 204


def test_events_at_once_are_bounded_by_their_number_and_their_size() -> None:
    for bounds in (Bounds(max_events=2), Bounds(max_held_bytes=2 * BODY_LIMIT)):
        with watch(bounds=bounds) as it, it.line() as one, it.line() as other:
            for line in (one, other):
                line.sendall(HEAD + b"Content-Length: 100\r\nExpect: 100-continue\r\n\r\n")
                assert answer(line) == 100
            assert it.send(notified()) == 503
            assert it.get("/healthz") == 200


def test_json_is_judged_before_it_is_parsed() -> None:
    deep = b'{"Records": ' + b"[" * 70 + b"]" * 70 + b"}"
    with pytest.raises(BadEvent, match="nested 71 deep"):
        buckets_of({}, deep)
    with pytest.raises(BadEvent, match="more than 100000 values"):
        buckets_of({}, b"[" + b"[]," * 100_000 + b"[]]")
    with pytest.raises(BadEvent, match="nested 71 deep"):
        buckets_of({}, pushed(data=deep))


def test_a_slow_sender_does_not_hold_the_end_up() -> None:
    with watch() as it, it.line() as line:
        line.sendall(HEAD + b"Content-Length: 100\r\n\r\n")
        began = time.monotonic()
    assert time.monotonic() - began < 5


def test_health_and_metrics() -> None:
    with watch(SECRET) as it:
        assert it.get("/healthz") == 200
        assert it.get("/readyz") == 503, "there was no look yet"
        it.gauges.look_succeeded()
        it.gauges.state_changed(WatchState())
        it.gauges.event("started", run="r")
        assert it.get("/readyz") == 200
        with urllib.request.urlopen(f"{it.url}/metrics") as answer:
            text = answer.read().decode()
        assert "skymill_watch_runs_started_total 1.0" in text.splitlines()
        assert "skymill_watch_data_waiting 0.0" in text.splitlines()
        it.gauges.event("failed", error="away")
        assert it.get("/readyz") == 503
        assert it.get("/healthz") == 200
        assert it.get("/events") == 405
        assert it.get("/") == 404


def test_a_port_that_is_taken_is_an_error_in_words() -> None:
    with watch() as it:
        port = int(it.url.rpartition(":")[2])
        settings = EndpointSettings(lambda: None, SOURCE, None, "bearer", BODY_LIMIT)
        with (
            pytest.raises(WatchError, match=f"watch.endpoint: 127.0.0.1:{port}"),
            served(settings, Gauges(), "127.0.0.1", port),
        ):
            pass


def test_which_sources_an_event_may_be_about() -> None:
    here = frozenset({"imagery"})
    assert concerns(here, "gs://imagery/landcover")
    assert concerns(here, "s3://imagery")
    assert not concerns(here, "s3://other/imagery")
    assert concerns(frozenset(), "s3://other")
    assert concerns(here, "/mnt/imagery"), "a mounted bucket, perhaps"
    assert concerns(here, "https://stac.example/api")


def test_an_event_within_an_event() -> None:
    """Eventarc wraps what comes by Pub/Sub."""
    message = json.loads(pushed({"bucketId": "imagery"}))
    wrapped = CloudEvent(
        {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//pubsub"}, message
    )
    body, headers = headers_and_body(wrapped, to_binary)
    assert buckets_of(headers, body) == {"imagery"}
    with pytest.raises(BadEvent, match="neither a CloudEvent"):
        buckets_of({}, b"{}")


def test_secrets_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    assert secret_of(EndpointConfig(secret_file=str(file)), {}) == SECRET
    assert secret_of(EndpointConfig(secret_variable="S"), {"S": SECRET}) == SECRET
    assert secret_of(EndpointConfig(), {}) is None
    with pytest.raises(ConfigError, match=r"in \$S has 0 characters"):
        secret_of(EndpointConfig(secret_variable="S"), {})
    file.write_text("short")
    with pytest.raises(ConfigError, match="has 5 characters"):
        secret_of(EndpointConfig(secret_file=str(file)), {})
    with pytest.raises(ConfigError, match="secret_file"):
        secret_of(EndpointConfig(secret_file=str(tmp_path / "none")), {})


def test_beyond_loopback_a_secret_is_demanded() -> None:
    with pytest.raises(ValidationError, match="not loopback"):
        EndpointConfig(host="0.0.0.0")
    with pytest.raises(ValidationError, match="not both"):
        EndpointConfig(secret_file="a", secret_variable="b")
    assert EndpointConfig(host="0.0.0.0", secret_variable="S").port == 8090
