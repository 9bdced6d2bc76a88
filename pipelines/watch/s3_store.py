"""A watch's state as an object in S3 or MinIO, written under a precondition.

pyarrow, which reads and writes models there, supports no preconditions; hence these two requests.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import quote, urlsplit

import urllib3

from pipelines.watch.sigv4 import Keys, signed_headers
from pipelines.watch.state import WatchError
from pipelines.watch.store import Kept

_NONE = ""
_TIMEOUT_S = 30.0
_LOST = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT)


class S3Store:
    """State in one object; its ETag is the version."""

    def __init__(self, uri: str, environment: Mapping[str, str]) -> None:
        """Reads the address and the keys from the variables that Amazon's own tools read.

        Raises:
            WatchError: there are no keys.
        """
        self._uri = uri
        self._keys = _keys(environment)
        bucket, _, name = uri.removeprefix("s3://").partition("/")
        endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
        if endpoint:  # self-hosted stores have no host names for buckets
            self._base, self._path = endpoint.rstrip("/"), f"/{bucket}/{name}"
        else:
            self._base = f"https://{bucket}.s3.{self._keys.region}.amazonaws.com"
            self._path = f"/{name}"
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT_S, retries=False)

    @property
    def place(self) -> str:
        return self._uri

    def read(self) -> Kept:
        answer = self._ask("GET", {})
        if answer.status == HTTPStatus.NOT_FOUND:
            return Kept(None, _NONE)
        if answer.status != HTTPStatus.OK:
            raise self._refused(answer)
        return Kept(answer.data.decode(), answer.headers["ETag"])

    def write(self, text: str, version: str) -> bool:
        condition = {"if-match": version} if version else {"if-none-match": "*"}
        answer = self._ask("PUT", condition, text.encode())
        if answer.status in _LOST:
            return False
        if answer.status != HTTPStatus.OK:
            raise self._refused(answer)
        return True

    def _ask(
        self, method: str, headers: Mapping[str, str], body: bytes = b""
    ) -> urllib3.BaseHTTPResponse:
        host = urlsplit(self._base).netloc
        now = datetime.now(UTC)
        signed = signed_headers(method, host, self._path, headers, body, self._keys, now)
        url = self._base + quote(self._path, safe="/~")
        try:
            return self._pool.request(method, url, headers=signed, body=body or None)
        except urllib3.exceptions.HTTPError as error:
            raise WatchError(f"{self._uri}: {self._base} cannot be reached ({error})") from error

    def _refused(self, answer: urllib3.BaseHTTPResponse) -> WatchError:
        said = answer.data[:300].decode(errors="replace")
        return WatchError(
            f"{self._uri}: the store answered {answer.status}: {said}. Look at the address, the "
            "keys and what they may do."
        )


def _keys(environment: Mapping[str, str]) -> Keys:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise WatchError(f"a state in S3 needs {' and '.join(missing)} in the environment")
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    access, secret = (environment[name] for name in names)
    return Keys(access, secret, region, environment.get("AWS_SESSION_TOKEN", ""))
