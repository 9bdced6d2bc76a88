"""Opening of the store and the object that a location names.

The library of cloud stores is imported only for their URIs.
"""

import os
from functools import lru_cache
from pathlib import Path

from components.raster.errors import ConfigError
from components.raster.location import is_remote, local_path
from components.raster.stores.local_folder import LocalFolder
from components.raster.stores.object_store import RETRIES, ObjectStore, RequestRetries

SCHEMES = ("s3://", "gs://", "az://")
#: Names of variables that credentials and addresses depend on.
_VARIABLES = ("AWS_", "GOOGLE_", "AZURE_", "STORAGE_")


def is_object_store(location: str) -> bool:
    """Checks whether a location is a URI of a supported object store."""
    return location.startswith(SCHEMES)


def open_store(location: str, retries: RequestRetries = RETRIES) -> ObjectStore:
    """Opens the objects below a location, without connecting yet.

    Raises:
        ConfigError: it is a URI of another kind.
    """
    if not is_remote(location):
        return LocalFolder(Path(local_path(location)))
    if not is_object_store(location):
        raise ConfigError(f"{location}: name a folder, or a store at {' or '.join(SCHEMES)}")
    from components.raster.stores.cloud_store import CloudStore

    return CloudStore(location, retries)


def shared_bucket(root: str) -> ObjectStore:
    """Returns the store of a bucket, `s3://bucket`, with connections shared by all callers."""
    return _bucket(root, frozenset(it for it in os.environ.items() if it[0].startswith(_VARIABLES)))


@lru_cache(maxsize=8)
def _bucket(root: str, environment: frozenset[tuple[str, str]]) -> ObjectStore:
    """Returns the store for one state of the environment; other credentials give another store."""
    return open_store(root)


def open_object(location: str, retries: RequestRetries = RETRIES) -> tuple[ObjectStore, str]:
    """Opens the store of one object; returns it with the object's name.

    Raises:
        ConfigError: it is a URI of another kind.
    """
    path = location if is_remote(location) else local_path(location)
    folder, _, name = path.rpartition("/")
    return open_store(folder or ("/" if path.startswith("/") else "."), retries), name
