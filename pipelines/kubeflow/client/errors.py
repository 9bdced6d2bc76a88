"""Readable errors for refusals by a Kubeflow Pipelines server or a proxy before it."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from components.raster.errors import SkymillError

_EXCERPT = 600
#: Statuses worth a retry; most of them come from a proxy.
_TRANSIENT_STATUS = {408, 429, 502, 503, 504}

#: A frame of Go's stack, a function and its place, which internal errors have after their causes.
_FRAME = re.compile(r"\n\S+\n\t\S+:\d+")

#: The server's words for a run that it does not know.
_RUN = re.compile(r"\bRun \S+ not found")

#: Words that show that an internal error is caused by the request: a retry would fail again.
_LASTING = ("invalidinput", "invalid input", "failed to compile job", "failed to parse")

#: Words in the server's messages, and the remedy for each.
_NEXT = (
    (
        "unknown template format",
        "The server finds no pipeline in the package. It is a PipelineJob (compiled with "
        "--vertex), or has a field or a value that this version of Kubeflow does not know. "
        "`skymill compile` writes what Kubeflow 2.5 and newer take",
    ),
    ("schema version", "Compile the package again, with `skymill compile`"),
    (
        "non-container and non-importer",
        "Kubeflow runs containers only: a resolver has to become a step, as Baseline is one",
    ),
    ("neither default value", "Give the parameter a value: --set NAME=VALUE"),
    (
        "are not required by pipeline",
        "Leave out the parameter: the pipeline has none of that name",
    ),
    ("requires type", "Give the parameter a value of that type"),
    ("schedule cron", "Six fields, seconds first: '0 0 2 * * *' is every night at two"),
    ("empty namespace", "The installation has several users: give --namespace"),
    ("experiment id can not be empty", "The installation has several users: give --namespace"),
)


class KubeflowError(SkymillError):
    """The server refused a request, or could not be reached.

    Attributes:
        transient: the same request may succeed later, so that a retry makes sense.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient

    def followed_by(self, sentence: str) -> "KubeflowError":
        """Returns an error of the same kind whose message ends with one more sentence."""
        return type(self)(f"{str(self).rstrip('.')}. {sentence}", transient=self.transient)


class Unauthenticated(KubeflowError):
    """The server does not accept the credentials, or they are missing."""


class Conflict(KubeflowError):
    """An entry of that name already exists on the server."""


class NotFound(KubeflowError):
    """No entry of that name exists on the server."""


class Lost(KubeflowError):
    """The server lists a schedule whose object in the cluster is gone, so it starts no runs."""


@contextmanager
def readable_errors(what: str, endpoint: str) -> Iterator[None]:
    """Converts the client's errors to a `KubeflowError`.

    Args:
        what: the attempted action, as in `cannot {what}`.
        endpoint: the server's address.
    """
    import urllib3
    from kfp_server_api import ApiException

    try:
        yield
    except ApiException as error:
        if error.status:
            raise response_error(what, endpoint, error.status, error.body) from error
        raise connection_error(what, endpoint, str(error.reason)) from error
    except urllib3.exceptions.HTTPError as error:
        raise connection_error(what, endpoint, _cause(error)) from error


def connection_error(what: str, endpoint: str, cause: str) -> KubeflowError:
    """Returns the error for a server that does not respond."""
    text = f"cannot {what}: {endpoint} cannot be reached ({cause})"
    if "certificate" in cause.lower():
        return KubeflowError(f"{text}. To trust a certificate of your own, give --ca-file")
    return KubeflowError(
        f"{text}. Is the address right, and the port-forward or the proxy to the cluster running?",
        transient=True,
    )


def response_error(what: str, endpoint: str, status: int, body: Any) -> KubeflowError:
    """Returns the error for a response, by its HTTP status and its body."""
    said = _message(body)
    text = f"cannot {what}: {endpoint} answered {status}: {said}"
    if status == 401:
        return Unauthenticated(
            f"{text}. The credentials are missing or expired: give a token, a session or the "
            "client's id (docs/submit.md)"
        )
    if status == 403:
        return KubeflowError(
            f"{text}. The account lacks a permission: docs/submit.md lists those that are needed"
        )
    if status == 404 and not _is_lost(said):
        runs = ". `skymill runs list --kubeflow` lists the runs" if _RUN.search(said) else ""
        return NotFound(text + runs)
    if status == 409:
        return Conflict(text)
    if _is_lost(said):
        return Lost(
            f"{text}. The schedule's ScheduledWorkflow is not in the cluster any more, so it "
            "starts no runs. `skymill schedule create` makes another in its place"
        )
    known = next((hint for words, hint in _NEXT if words in said.lower()), "")
    transient = status in _TRANSIENT_STATUS or (status == 500 and not _is_lasting(said))
    return KubeflowError(f"{text}. {known}".rstrip(". ") + ".", transient=transient)


def page_error(what: str, endpoint: str) -> KubeflowError:
    """Returns the error for a response that is a web page, usually a login."""
    return KubeflowError(
        f"cannot {what}: {endpoint} answered with a web page, not as Kubeflow's API does. "
        "Behind a login it means that the session or the token is missing or has expired; "
        "otherwise the address is that of another service"
    )


def _is_lost(said: str) -> bool:
    """Recognises a lost object by Kubernetes' words in an internal error, or by the server's."""
    text = said.lower()
    found = "scheduledworkflow" in text or "check if its k8s resource exists" in text
    return found and "not found" in text


def _is_lasting(said: str) -> bool:
    """Recognises a bad request that the server reports as an internal error, by its words."""
    return any(words in said.lower() for words in _LASTING)


def _message(body: Any) -> str:
    """Extracts the server's message: `message` of gRPC's gateway, `error_message` of uploads."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        tree = json.loads(text)
    except ValueError:
        tree = None
    if isinstance(tree, dict):
        text = str(tree.get("message") or tree.get("error_message") or tree.get("error") or text)
    elif text.lstrip().startswith("<"):
        text = "a web page"
    text = " ".join(_FRAME.sub("", text).split()).rstrip(".")
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}..."


def _cause(error: Any) -> str:
    """Returns the innermost cause, which the client wraps several times."""
    inner = getattr(error, "reason", None) or error
    if not isinstance(inner, BaseException):
        return str(inner)
    if len(inner.args) == 2 and isinstance(inner.args[1], BaseException):
        inner = inner.args[1]
    return str(inner).rpartition(": ")[2] or type(inner).__name__
