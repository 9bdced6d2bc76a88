"""The part of Azure's Blob protocol that clients use for whole objects, on loopback."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import format_datetime
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from tests.loopback import QuietHandler, http_server
from tests.stores.s3 import Bucket


@contextmanager
def azure_server(name: str) -> Iterator[tuple[str, Bucket]]:
    """The address of a server with one container, and the container."""
    bucket = Bucket()

    class Handler(_Handler):
        held, container = bucket, name

    with http_server(Handler) as address:
        yield address, bucket


class _Handler(QuietHandler):
    held: Bucket
    container: str

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        key, query = self._asked()
        if self._fails():
            return
        if self.held.forbidden:
            self._error(403, "AuthorizationFailure")
        elif query.get("comp") == "list":
            self._list(query)
        elif key not in self.held.objects:
            self._error(404, "BlobNotFound")
        else:
            self._object(key)

    def do_PUT(self) -> None:
        key, query = self._asked()
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._fails():
            return
        with self.held.lock:
            self._put(key, query, data)

    def do_POST(self) -> None:
        """A batch of deletions: a request in each part of the body, an answer in each of ours."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self._fails():
            return
        answers = []
        for number, target in enumerate(re.findall(r"^DELETE (\S+) HTTP", body, re.MULTILINE)):
            found = self.held.objects.pop(self._key(urlsplit(target).path), None)
            status = "404 Not Found\r\nx-ms-error-code: BlobNotFound"
            answers.append(
                "--batch\r\nContent-Type: application/http\r\n"
                f"Content-ID: {number}\r\n\r\n"
                f"HTTP/1.1 {status if found is None else '202 Accepted'}\r\n\r\n\r\n"
            )
        kind = "multipart/mixed; boundary=batch"
        self._answer("".join([*answers, "--batch--"]).encode(), 202, **{"Content-Type": kind})

    def _put(self, key: str, query: dict[str, str], data: bytes) -> None:
        if query.get("comp") == "block":
            self.held.uploads.setdefault(key, {})[query["blockid"]] = data
            self._answer(b"", 201)
            return
        source = self.headers.get("x-ms-copy-source")
        if self.held.refuses(key):
            self._error(403, "AuthorizationFailure")
        elif refused := self._precondition(key):
            self._error(*refused)
        elif query.get("comp") == "blocklist":
            blocks = self.held.uploads.pop(key)
            listed = [it.text or "" for it in ElementTree.fromstring(data)]
            self._stored(key, b"".join(blocks[one] for one in listed))
        elif source:
            copied = self.held.objects.get(self._key(urlsplit(source).path))
            if copied is None:
                self._error(404, "BlobNotFound")
            else:
                self._stored(key, copied, 202)
        else:
            self._stored(key, data)

    def _stored(self, key: str, data: bytes, status: int = 201) -> None:
        self.held.put(key, data)
        if self.held.loses_answer(key):
            self._error(403, "AuthorizationFailure")
        else:
            self._answer(b"", status, **{"x-ms-copy-status": "success", **self._properties(key)})

    def _precondition(self, key: str) -> tuple[int, str] | None:
        if self.headers.get("If-None-Match") == "*" and key in self.held.objects:
            return 409, "BlobAlreadyExists"
        wanted = self.headers.get("If-Match")
        found = self._etag(key) if key in self.held.objects else None
        return (412, "ConditionNotMet") if wanted and wanted != found else None

    def _etag(self, key: str) -> str:
        """Azure's tag is new with every write, also of the same content."""
        return f'"0x{self.held.writes.count(key):X}"'

    def _properties(self, key: str) -> dict[str, str]:
        changed = format_datetime(self.held.changed[key], usegmt=True)
        return {"ETag": self._etag(key), "Last-Modified": changed}

    def _list(self, query: dict[str, str]) -> None:
        token = query.get("marker", "")
        if token and self.held.failing_page:
            self._error(400, "InvalidQueryParameterValue")
            return
        keys, further = self.held.page(query.get("prefix", ""), token)
        blobs = "".join(
            f"<Blob><Name>{escape(key)}</Name><Properties>"
            f"<Last-Modified>{self._properties(key)['Last-Modified']}</Last-Modified>"
            f"<Etag>{escape(self._etag(key))}</Etag>"
            f"<Content-Length>{len(self.held.objects[key])}</Content-Length>"
            "<Content-Type>text/plain</Content-Type><BlobType>BlockBlob</BlobType>"
            "</Properties></Blob>"
            for key in keys
        )
        self._answer(
            f"<EnumerationResults><Blobs>{blobs}</Blobs>"
            f"<NextMarker>{further}</NextMarker></EnumerationResults>".encode()
        )

    def _object(self, key: str) -> None:
        data, cut = self.held.objects[key], None
        if self.held.cut_reads and self.command == "GET":
            self.held.cut_reads -= 1
            cut, self.close_connection = len(data) // 2, True
            self._answer(data, 200, cut, **self._properties(key))
        elif span := self.headers.get("Range") or self.headers.get("x-ms-range"):
            first, _, last = span.removeprefix("bytes=").partition("-")
            part = data[int(first) : int(last) + 1 if last else None]
            shown = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
            self._answer(part, 206, **{"Content-Range": shown, **self._properties(key)})
        else:
            self._answer(data, 200, **self._properties(key))

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {name: found[0] for name, found in parse_qs(parts.query, True).items()}
        return self._key(parts.path), query

    def _key(self, path: str) -> str:
        container, _, key = unquote(path).lstrip("/").partition("/")
        assert container == self.container, path
        return key

    def _fails(self) -> bool:
        self.held.requests.append(f"{self.command} {self.path}")
        if not self.held.failures:
            return False
        self._error(self.held.failures.pop(0), "ServerBusy")
        return True

    def _error(self, status: int, code: str) -> None:
        self._answer(f"<Error><Code>{code}</Code></Error>".encode(), status)

    def _answer(
        self, data: bytes, status: int = 200, cut: int | None = None, **headers: str
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:cut])
