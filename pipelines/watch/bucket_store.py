"""A watch's state as an object in a bucket, for watchers anywhere."""

from components.raster.stores.opening import open_object
from pipelines.watch.state_store import Document


class BucketStore:
    """State in one object, written only over the version that was read; raises StorageError."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._store, self._name = open_object(uri)

    @property
    def place(self) -> str:
        return self._uri

    def read(self) -> Document:
        found = self._store.revision(self._name)
        return Document(None if found.content is None else found.content.decode(), found.version)

    def write(self, text: str, version: str) -> bool:
        return self._store.replace(self._name, text.encode(), version)
