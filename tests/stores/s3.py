"""The part of S3's protocol that clients use for whole objects, on loopback and in memory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import md5
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.loopback import QuietHandler, http_server


class Bucket:
    """The objects of one bucket by key, the requests that it got, and its faults.

    Attributes:
        forbidden: refuses everything.
        read_only: a part of keys that may not be written.
        lost_answer: a part of keys whose copies succeed but are answered with an error.
        page_size: number of keys in a page of a listing.
        failing_page: fails every page of a listing but the first.
        unlisted: keys that listings leave out, as if they were cut short.
        stalled: a part of keys that are not read before `go_on` is set.
        failing_copies: number of the next copies that fail after their answer has begun.
        cut_reads: number of the next reads that end after half of the content.
        failures: statuses that the next requests get instead of an answer.
        requests: method and path of every request.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.changed: dict[str, datetime] = {}
        self.writes: list[str] = []
        self.lock = threading.Lock()
        self.uploads: dict[str, dict[str, bytes]] = {}
        self.forbidden = False
        self.read_only = self.lost_answer = ""
        self.page_size = 1000
        self.failing_page = False
        self.unlisted: set[str] = set()
        self.stalled = ""
        self.go_on = threading.Event()
        self.failing_copies = 0
        self.cut_reads = 0
        self.failures: list[int] = []
        self.requests: list[str] = []

    def page(self, prefix: str, token: str) -> tuple[list[str], str]:
        """Keys of a listing from a token on, and the token of the next page; empty at the end."""
        keys = [k for k in sorted(self.objects.keys() - self.unlisted) if k.startswith(prefix)]
        start = int(token or 0)
        end = start + self.page_size
        return keys[start:end], str(end) if end < len(keys) else ""

    def refuses(self, key: str) -> bool:
        """Checks whether writes of a key are refused."""
        return bool(self.read_only) and self.read_only in key

    def loses_answer(self, key: str) -> bool:
        """Checks whether the answer to a copy is lost on its way."""
        return bool(self.lost_answer) and self.lost_answer in key

    def put(self, key: str, data: bytes) -> None:
        self.objects[key] = data
        self.changed[key] = datetime.now(UTC)
        self.writes.append(key)


@contextmanager
def s3_server(name: str) -> Iterator[tuple[str, Bucket]]:
    """The address of a server with one bucket, and the bucket."""
    bucket = Bucket()

    class Handler(S3Handler):
        held, bucket_name = bucket, name

    with http_server(Handler) as address:
        yield address, bucket


class S3Handler(QuietHandler):
    """Answers for one bucket."""

    held: Bucket
    bucket_name: str
    copy_header, missing_is_an_error = "x-amz-copy-source", False

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        key, query = self._asked()
        if self.fails():
            return
        if self.held.forbidden:
            self._error(403, "AccessDenied")
        elif not key and "list-type" in query:
            self._list(query)
        elif not key:
            self._answer(b"")
        elif key not in self.held.objects:
            self._error(404, "NoSuchKey")
        else:
            self._object(key)

    def do_PUT(self) -> None:
        key, query = self._asked()
        data = self._body()
        if self.fails():
            return
        with self.held.lock:
            self._put(key, query, data)

    def fails(self) -> bool:
        """Answers with the next failure, if one is left."""
        self.held.requests.append(f"{self.command} {self.path}")
        if not self.held.failures:
            return False
        self._error(self.held.failures.pop(0), "SlowDown")
        return True

    def _put(self, key: str, query: dict[str, str], data: bytes) -> None:
        if "uploadId" in query:
            self.held.uploads[query["uploadId"]][query["partNumber"]] = data
            self._answer(b"", ETag=f'"{md5(data).hexdigest()}"')
        elif source := self.headers.get(self.copy_header):
            if self.held.failing_copies:
                self.held.failing_copies -= 1
                self._answer(b"<Error><Code>InternalError</Code></Error>")
                return
            found = self.held.objects.get(unquote(source).lstrip("/").partition("/")[2])
            if found is None:
                self._error(404, "NoSuchKey")
                return
            if self.held.refuses(key):
                self._error(403, "AccessDenied")
                return
            self.held.put(key, found)
            if self.held.loses_answer(key):
                self._error(403, "AccessDenied")
                return
            self._answer(b'<CopyObjectResult><ETag>"0"</ETag></CopyObjectResult>')
        elif refused := self._precondition(key):
            self._error(*refused)
        else:
            self.held.put(key, data)
            self._answer(b"", **self._properties(key))

    def _properties(self, key: str) -> dict[str, str]:
        """Headers that describe an object."""
        return {
            "ETag": f'"{md5(self.held.objects[key]).hexdigest()}"',
            "Last-Modified": format_datetime(self.held.changed[key], usegmt=True),
        }

    def _precondition(self, key: str) -> tuple[int, str] | None:
        found = self.held.objects.get(key)
        if self.headers.get("If-None-Match") == "*" and found is not None:
            return 412, "PreconditionFailed"
        wanted = self.headers.get("If-Match")
        if wanted and found is None:
            return 404, "NoSuchKey"
        if wanted and wanted != f'"{md5(found or b"").hexdigest()}"':
            return 412, "PreconditionFailed"
        return None

    def do_POST(self) -> None:
        key, query = self._asked()
        self._body()
        if "uploads" in query:
            number = f"upload-{len(self.held.uploads)}"
            self.held.uploads[number] = {}
            self._answer(
                "<InitiateMultipartUploadResult><UploadId>"
                f"{number}</UploadId></InitiateMultipartUploadResult>".encode()
            )
        elif "uploadId" in query:
            parts = self.held.uploads.pop(query["uploadId"])
            self.held.put(key, b"".join(parts[part] for part in sorted(parts, key=int)))
            self._answer(
                b'<CompleteMultipartUploadResult><ETag>"0"</ETag></CompleteMultipartUploadResult>'
            )

    def do_DELETE(self) -> None:
        key, query = self._asked()
        if "uploadId" in query:
            self.held.uploads.pop(query["uploadId"], None)
        elif self.held.objects.pop(key, None) is None and self.missing_is_an_error:
            self._error(404, "NoSuchKey")
            return
        self._answer(b"", status=204)

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {name: found[0] for name, found in parse_qs(parts.query, True).items()}
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        assert bucket == self.bucket_name, self.path
        return key, query

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _list(self, query: dict[str, str]) -> None:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        shown, folders = [], set()
        token = query.get("continuation-token", "")
        if token and self.held.failing_page:
            self._error(400, "InvalidArgument")
            return
        keys, further = self.held.page(prefix, token)
        for key in keys:
            rest = key.removeprefix(prefix)
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
            else:
                at = self.held.changed[key].strftime("%Y-%m-%dT%H:%M:%S.000Z")
                shown.append(
                    f"<Contents><Key>{escape(key)}</Key><LastModified>{at}</LastModified>"
                    f"<ETag>&quot;{md5(self.held.objects[key]).hexdigest()}&quot;</ETag>"
                    f"<Size>{len(self.held.objects[key])}</Size></Contents>"
                )
        shown += [f"<CommonPrefixes><Prefix>{f}</Prefix></CommonPrefixes>" for f in sorted(folders)]
        count = f"<KeyCount>{len(shown)}</KeyCount><IsTruncated>{str(bool(further)).lower()}"
        count += "</IsTruncated>"
        if further:
            count += f"<NextContinuationToken>{further}</NextContinuationToken>"
        self._answer(f"<ListBucketResult>{count}{''.join(shown)}</ListBucketResult>".encode())

    def _object(self, key: str) -> None:
        if self.held.stalled and self.held.stalled in key and self.command == "GET":
            self.held.go_on.wait(20)
            self.close_connection = True
            return
        data = self.held.objects[key]
        headers = self._properties(key)
        if self.held.cut_reads and self.command == "GET":
            self.held.cut_reads -= 1
            self._answer(data, cut=len(data) // 2, **headers)
            self.close_connection = True
            return
        if span := self.headers.get("Range"):
            first, _, last = span.removeprefix("bytes=").partition("-")
            part = data[int(first) : int(last) + 1 if last else None]
            headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
            self._answer(part, status=206, **headers)
        else:
            self._answer(data, **headers)

    def _error(self, status: int, code: str) -> None:
        self._answer(f"<Error><Code>{code}</Code></Error>".encode(), status=status)

    def _answer(
        self, data: bytes, status: int = 200, cut: int | None = None, **headers: str
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Type", "application/xml")
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(data[:cut])
