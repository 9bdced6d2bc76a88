"""External events: authentication, and a check whether they concern the source.

An event only wakes the watch. Its content is not trusted: only the source shows what is new.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from cloudevents.exceptions import GenericException
from cloudevents.http import from_http

from components.raster.errors import ConfigError
from pipelines.config.watch import EndpointConfig
from serving.server.errors import ServingError
from serving.server.json_structure import check_structure

_FEWEST_CHARACTERS = 16
_SIGNED_BY = "X-Hub-Signature-256"
_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}", re.IGNORECASE)
_MAX_JSON_VALUES, _MAX_JSON_DEPTH = 100_000, 64
_STORAGE = "//storage.googleapis.com/projects/_/buckets/"


class BadEvent(ValueError):
    """A request that is not an event of a known kind."""


def secret_of(endpoint: EndpointConfig, environment: Mapping[str, str]) -> str | None:
    """Returns the secret that authenticates events.

    Raises:
        ConfigError: the configured place holds no secret, or one that is too short.
    """
    if endpoint.secret_file:
        place = endpoint.secret_file
        try:
            found = Path(place).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ConfigError(f"watch.endpoint.secret_file: {place}: {error}") from error
    elif endpoint.secret_variable:
        place = f"${endpoint.secret_variable}"
        found = environment.get(endpoint.secret_variable, "").strip()
    else:
        return None
    if len(found) < _FEWEST_CHARACTERS:
        raise ConfigError(
            f"watch.endpoint: the secret in {place} has {len(found)} characters and needs at least "
            f"{_FEWEST_CHARACTERS}; make one with: openssl rand -hex 32"
        )
    return found


def shows_secret(
    headers: Mapping[str, str], secret: str | None, check: Literal["bearer", "hmac"]
) -> bool:
    """Checks whether the headers carry the secret, or a signature to verify the body with.

    A request that fails this check is refused before its body is read.
    """
    if secret is None:
        return True
    if check == "bearer":
        kind, _, shown = headers.get("Authorization", "").partition(" ")
        return kind.lower() == "bearer" and _equal(shown.strip(), secret)
    return _SIGNATURE.fullmatch(headers.get(_SIGNED_BY, "")) is not None


def is_signed(headers: Mapping[str, str], body: bytes, secret: str | None) -> bool:
    """Verifies the signature of the body; without a secret every body passes."""
    if secret is None:
        return True
    right = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return _equal(headers.get(_SIGNED_BY, "").lower(), f"sha256={right}")


def _equal(shown: str, right: str) -> bool:
    """Compares in constant time, so that timing does not reveal the right value."""
    return hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), right.encode())


def _check_json(body: bytes) -> None:
    try:
        check_structure(body, _MAX_JSON_VALUES, _MAX_JSON_DEPTH)
    except ServingError as error:
        raise BadEvent(error.message.partition(" (")[0]) from error  # drops a server's setting


def buckets_of(headers: Mapping[str, str], body: bytes) -> frozenset[str]:
    """Returns the buckets that an event names; empty if it names none.

    Supported are CloudEvents (binary and structured), Pub/Sub push messages, and the
    notifications of S3 and MinIO.

    Raises:
        BadEvent: it is not one of these, or nested too deeply.
    """
    _check_json(body)
    tree = _json(body)
    if isinstance(tree, dict) and isinstance(tree.get("message"), dict) and "subscription" in tree:
        return frozenset(_of_message(tree["message"]))
    if isinstance(tree, dict) and isinstance(tree.get("Records"), list):
        return frozenset(_of_records(tree["Records"]))
    return frozenset(_of_cloud_event(headers, body))


def concerns(buckets: frozenset[str], uri: str) -> bool:
    """Checks whether an event may concern a source: not if it names other buckets only."""
    scheme, place = urlsplit(uri).scheme, urlsplit(uri).netloc
    return not buckets or scheme in ("", "file", "http", "https") or place in buckets


def _of_cloud_event(headers: Mapping[str, str], body: bytes) -> Iterator[str]:
    try:
        event = from_http(dict(headers), body)
        source, data = str(event["source"]), event.get_data()
    except (
        GenericException,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise BadEvent(
            "neither a CloudEvent, nor a Pub/Sub push, nor an S3 notification"
        ) from error
    if source.startswith(_STORAGE):
        yield source.removeprefix(_STORAGE).partition("/")[0]
    if isinstance(data, dict):
        if isinstance(data.get("bucket"), str):
            yield data["bucket"]
        if isinstance(data.get("message"), dict):
            yield from _of_message(data["message"])
        if isinstance(data.get("Records"), list):
            yield from _of_records(data["Records"])


def _of_message(message: Mapping[str, Any]) -> Iterator[str]:
    """Yields the bucket that Cloud Storage names in a Pub/Sub message's attributes."""
    attributes = message.get("attributes")
    if isinstance(attributes, dict) and isinstance(attributes.get("bucketId"), str):
        yield attributes["bucketId"]
        return
    try:
        inner = base64.b64decode(message.get("data") or b"", validate=True)
    except (ValueError, TypeError) as error:
        raise BadEvent("the message's data are not base64") from error
    _check_json(inner)
    data = _json(inner)
    if isinstance(data, dict) and isinstance(data.get("bucket"), str):
        yield data["bucket"]


def _of_records(records: list[Any]) -> Iterator[str]:
    for record in records:
        try:
            yield str(record["s3"]["bucket"]["name"])
        except (KeyError, TypeError) as error:
            raise BadEvent("a record that names no bucket") from error


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
