"""Cloud object stores, through obstore."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import AzureStore, GCSStore, S3Store

from components.raster.masking import masked
from components.raster.stores.credentials import Access, azure_access, gcs_access, s3_access
from components.raster.stores.object_store import (
    ABSENT,
    RETRIES,
    ObjectMissing,
    RequestRetries,
    Revision,
    StorageError,
    StoredObject,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta

_ACCESS = {"s3": s3_access, "gs": gcs_access, "az": azure_access}
_KINDS = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
_PART_BYTES = 16 << 20
_PARTS_AT_ONCE = 4
_CHUNK_BYTES = 1 << 20
_LONGEST_REASON = 400
#: Time limit of a request: enough for one part of an upload over a slow line.
_REQUEST_S, _CONNECT_S, _READ_S = 600, 10, 30
_DEBUG = re.compile(r"\n\s*Debug source:.*", re.DOTALL)


class CloudStore:
    """Objects below `s3://bucket/...`, `gs://bucket/...` or `az://container/...`.

    Nothing is read, and no connection made, before the first request.
    """

    def __init__(self, uri: str, retries: RequestRetries = RETRIES) -> None:
        self._uri = uri.rstrip("/")
        self._scheme, _, path = self._uri.partition("://")
        self._bucket, _, root = path.partition("/")
        self._prefix = f"{root}/" if root else ""
        self._retries = retries

    @property
    def uri(self) -> str:
        return self._uri

    def listing(self, folder: str = "") -> dict[str, StoredObject]:
        found: dict[str, StoredObject] = {}
        with self._translated():
            below = f"{self._prefix}{folder}".rstrip("/")
            for page in obstore.list(self._store, prefix=below or None):
                for it in page:
                    if it["path"].startswith(self._prefix):  # not the folder's own marker
                        found[it["path"].removeprefix(self._prefix)] = _properties(it)
        return found

    def find(self, name: str) -> StoredObject | None:
        try:
            with self._translated(name):
                return _properties(obstore.head(self._store, self._key(name)))
        except ObjectMissing:
            return None

    def read(self, name: str, max_bytes: int | None = None) -> bytes:
        content = bytearray()
        for chunk in self.chunks(name):
            content += chunk
            if max_bytes is not None and len(content) >= max_bytes:
                return bytes(content[:max_bytes])
        return bytes(content)

    def chunks(self, name: str) -> Iterator[bytes]:
        with self._translated(name):
            found = obstore.get(self._store, self._key(name))
            for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    def revision(self, name: str) -> Revision:
        try:
            with self._translated(name):
                found = obstore.get(self._store, self._key(name))
                return Revision(bytes(found.bytes()), found.meta[self._version_field] or ABSENT)
        except ObjectMissing:
            return Revision(None, ABSENT)

    def write(self, name: str, content: bytes | Path) -> None:
        with self._translated(name):
            obstore.put(
                self._store,
                self._key(name),
                content,
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )

    def replace(self, name: str, content: bytes, version: str) -> bool:
        mode: Any = {self._version_field: version} if version else "create"
        with self._translated(name):
            try:
                # A repeated request cannot tell its own earlier success from another process's.
                obstore.put(self._single_attempt_store, self._key(name), content, mode=mode)
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    def copy(self, source: str, target: str) -> None:
        with self._translated(source):
            obstore.copy(self._store, self._key(source), self._key(target))

    def delete(self, name: str) -> None:
        try:
            with self._translated(name):
                obstore.delete(self._store, self._key(name))
        except ObjectMissing:
            return

    def _key(self, name: str) -> str:
        return f"{self._prefix}{name}"

    @property
    def _version_field(self) -> Literal["e_tag", "version"]:
        """The property that a condition compares: Cloud Storage's generation, else the ETag."""
        return "version" if self._scheme == "gs" else "e_tag"

    @cached_property
    def _access(self) -> Access:
        return _ACCESS[self._scheme](os.environ, Path.home())

    @cached_property
    def _store(self) -> S3Store | GCSStore | AzureStore:
        return self._opened(self._retries)

    @cached_property
    def _single_attempt_store(self) -> S3Store | GCSStore | AzureStore:
        return self._opened(RequestRetries(count=0))

    def _opened(self, retries: RequestRetries) -> S3Store | GCSStore | AzureStore:
        access = self._access
        kind: Any = _KINDS[self._scheme]
        return kind(
            self._bucket,
            config=dict(access.settings),
            client_options=_client_options(access),
            retry_config={
                "max_retries": retries.count,
                "retry_timeout": timedelta(seconds=retries.total_s),
            },
            **({"credential_provider": access.provider()} if access.provider else {}),
        )

    @contextmanager
    def _translated(self, name: str = "") -> Iterator[None]:
        """Turns errors of obstore and of credentials into StorageError.

        The original error is dropped: its text repeats addresses, which may be signed.
        """
        place = f"{self._uri}/{name}" if name else self._uri
        try:
            yield
        except FileNotFoundError:
            raise ObjectMissing(f"{place}: there is no such object") from None
        except StorageError as error:
            raise type(error)(f"{place}: {error}") from None
        except (BaseError, OSError, ValueError) as error:
            raise StorageError(f"{place}: {self._reason(error)}") from None

    def _reason(self, error: Exception) -> str:
        text = " ".join(_DEBUG.sub("", masked(str(error))).split()).rstrip(".")
        if len(text) > _LONGEST_REASON:
            text = f"{text[:_LONGEST_REASON]}..."
        source = f" (from: {self._access.source})" if "_access" in vars(self) else ""
        return f"{text}. Check the address, the credentials{source} and their permissions"


def _properties(found: "ObjectMeta") -> StoredObject:
    return StoredObject(found["size"], found["last_modified"], found["e_tag"] or "")


def _client_options(access: Access) -> Mapping[str, Any]:
    options: dict[str, Any] = {
        "timeout": timedelta(seconds=_REQUEST_S),
        "connect_timeout": timedelta(seconds=_CONNECT_S),
        "read_timeout": timedelta(seconds=_READ_S),
        "allow_http": access.endpoint.startswith("http://"),
    }
    if access.certificates:
        options["root_certificate"] = Path(access.certificates).read_bytes()
    return options
