"""As much of Cloud Storage's JSON protocol as pyarrow uses for whole objects, on loopback."""

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c

from tests.loopback import QuietHandler, http_server
from tests.serving.s3 import Bucket


@contextmanager
def gcs_server(name: str) -> Iterator[tuple[str, Bucket]]:
    """The address of a server with one bucket, and the bucket."""
    bucket = Bucket()

    class Handler(_Handler):
        held, bucket_name = bucket, name

    with http_server(Handler) as address:
        yield address, bucket


class _Handler(QuietHandler):
    held: Bucket
    bucket_name: str

    def do_GET(self) -> None:
        parts, query = self._asked()
        key = self._key(parts)
        if self.held.forbidden:
            self._answer({"error": {"code": 403, "message": "Forbidden"}}, status=403)
            return
        if parts[:1] == ["download"] or query.get("alt") == "media":
            self._media(key)
        elif parts[0] != "storage":  # the XML API's way to read
            self._media("/".join(parts[1:]))
        elif key is None and parts[-1] == "o":
            self._list(query)
        elif key is None:
            self._answer({"kind": "storage#bucket", "name": self.bucket_name})
        elif key in self.held.objects:
            self._answer(self._metadata(key))
        else:
            self._missing()

    def _list(self, query: dict[str, str]) -> None:
        token = query.get("pageToken", "")
        if token and self.held.failing_page:
            self._answer({"error": {"code": 400, "message": "Bad Request"}}, status=400)
            return
        found, further = self.held.page(query.get("prefix", ""), token)
        next_page = {"nextPageToken": further} if further else {}
        items = [self._metadata(key) for key in found]
        self._answer({"kind": "storage#objects", "items": items, **next_page})

    def do_POST(self) -> None:
        parts, query = self._asked()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with self.held.lock:
            self._post(parts, query, body)

    def _post(self, parts: list[str], query: dict[str, str], body: bytes) -> None:
        if "rewriteTo" in parts:
            source, target = self._key(parts), unquote(parts[-1])
            if self.held.refuses(target):
                self._answer({"error": {"code": 403, "message": "Forbidden"}}, status=403)
                return
            self.held.put(target, self.held.objects[source or ""])
            if self.held.loses_answer(target):
                self._answer({"error": {"code": 403, "message": "Forbidden"}}, status=403)
                return
            size = str(len(self.held.objects[target]))
            done = {"done": True, "objectSize": size, "totalBytesRewritten": size}
            self._answer(
                {"kind": "storage#rewriteResponse", **done, "resource": self._metadata(target)}
            )
        elif query.get("uploadType") == "resumable":
            name = query.get("name") or json.loads(body)["name"]
            host = self.headers["Host"]
            self.held.uploads[name] = {0: b""}
            self._answer({}, Location=f"http://{host}/upload/{name}")
        else:
            boundary = self.headers["Content-Type"].partition("boundary=")[2].strip('"').encode()
            metadata, data = body.split(b"--" + boundary)[1:3]
            named = metadata.partition(b"\r\n\r\n")[2]
            name = query.get("name") or json.loads(named)["name"]
            if query.get("ifGenerationMatch", self._generation(name)) != self._generation(name):
                self._answer({"error": {"code": 412, "message": "conditionNotMet"}}, status=412)
                return
            self.held.put(name, data.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n"))
            self._answer(self._metadata(name))

    def do_PUT(self) -> None:
        parts, _ = self._asked()
        name = "/".join(parts[1:])
        self.held.uploads[name][0] += self.rfile.read(int(self.headers.get("Content-Length", 0)))
        span = self.headers.get("Content-Range", "bytes 0-0/0")
        if span.endswith("/*"):
            last = len(self.held.uploads[name][0]) - 1
            self._answer({}, status=308, Range=f"bytes=0-{last}")
        else:
            self.held.put(name, self.held.uploads.pop(name)[0])
            self._answer(self._metadata(name))

    def do_DELETE(self) -> None:
        parts, _ = self._asked()
        if self.held.objects.pop(self._key(parts) or "", None) is None:
            self._missing()
        else:
            self._answer({}, status=204)

    def _asked(self) -> tuple[list[str], dict[str, str]]:
        split = urlsplit(self.path)
        query = {name: found[0] for name, found in parse_qs(split.query, True).items()}
        return split.path.lstrip("/").split("/"), query

    def _key(self, parts: list[str]) -> str | None:
        if "o" not in parts or parts.index("o") + 1 == len(parts):
            return None
        return unquote(parts[parts.index("o") + 1])

    def _metadata(self, key: str) -> dict[str, object]:
        at = self.held.changed.get(key, datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        size = str(len(self.held.objects[key]))
        times = {"timeCreated": at, "updated": at}
        known = {"kind": "storage#object", "name": key, "bucket": self.bucket_name}
        checksum = google_crc32c.Checksum(self.held.objects[key]).digest()
        versions = {
            "generation": self._generation(key),
            "metageneration": "1",
            "crc32c": b64encode(checksum).decode(),
        }
        return {**known, "size": size, **versions, **times}

    def _generation(self, key: str) -> str:
        """How often it was written; 0 where there is none."""
        return str(self.held.writes.count(key) if key in self.held.objects else 0)

    def _media(self, key: str | None) -> None:
        data = self.held.objects.get(unquote(key or ""))
        if data is None:
            self._missing()
            return
        first = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0])
        generation = {"X-Goog-Generation": self._generation(unquote(key or ""))}
        self._answer(data[first:], 206 if first else 200, **generation)

    def _missing(self) -> None:
        self._answer({"error": {"code": 404, "message": "Not Found"}}, status=404)

    def _answer(self, content: object, status: int = 200, **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if status != 204:
            self.wfile.write(data)
