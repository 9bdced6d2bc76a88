"""A watch's state as an object in Cloud Storage, written under a precondition."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipelines.watch.state import WatchError
from pipelines.watch.store import Kept

_TIMEOUT_S = 30.0


class GcsStore:
    """State in one object; its generation is the version, and 0 means that it does not exist."""

    def __init__(self, uri: str, client: Any = None) -> None:
        """Takes a `google.cloud.storage.Client`, by default one with the machine's account."""
        self._uri = uri
        self._client = client

    @property
    def place(self) -> str:
        return self._uri

    def read(self) -> Kept:
        from google.api_core.exceptions import NotFound

        with self._reached() as blob:
            try:
                text = blob.download_as_bytes(timeout=_TIMEOUT_S).decode()
            except NotFound:
                return Kept(None, "0")
            # The generation of these bytes: the library takes it from the response's headers.
            return Kept(text, str(blob.generation))

    def write(self, text: str, version: str) -> bool:
        from google.api_core.exceptions import PreconditionFailed

        with self._reached() as blob:
            try:
                blob.upload_from_string(
                    text,
                    content_type="application/json",
                    if_generation_match=int(version),
                    timeout=_TIMEOUT_S,
                    # A repeated request cannot distinguish its own success from another's.
                    retry=None,
                )
            except PreconditionFailed:
                return False
        return True

    @contextmanager
    def _reached(self) -> Iterator[Any]:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import storage

        try:
            self._client = self._client or storage.Client()
            bucket, _, name = self._uri.removeprefix("gs://").partition("/")
            yield self._client.bucket(bucket).blob(name)
        except (GoogleAPIError, GoogleAuthError, OSError) as error:
            raise WatchError(
                f"{self._uri}: the state of the watch cannot be read or written ({error}). Look at "
                "the address, the credentials and what they may do."
            ) from error
