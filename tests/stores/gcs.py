"""The part of Cloud Storage's XML protocol that clients use for whole objects, on loopback."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.loopback import http_server
from tests.stores.s3 import Bucket, S3Handler


@contextmanager
def gcs_server(name: str) -> Iterator[tuple[str, Bucket]]:
    """The address of a server with one bucket, and the bucket."""
    bucket = Bucket()

    class Handler(_Handler):
        held, bucket_name = bucket, name

    with http_server(Handler) as address:
        yield address, bucket


class _Handler(S3Handler):
    copy_header, missing_is_an_error = "x-goog-copy-source", True

    def _properties(self, key: str) -> dict[str, str]:
        return {**super()._properties(key), "x-goog-generation": self._generation(key)}

    def _precondition(self, key: str) -> tuple[int, str] | None:
        wanted = self.headers.get("x-goog-if-generation-match", self._generation(key))
        return None if wanted == self._generation(key) else (412, "PreconditionFailed")

    def _generation(self, key: str) -> str:
        """Returns the number of writes of an object; 0 if there is none."""
        return str(self.held.writes.count(key) if key in self.held.objects else 0)
