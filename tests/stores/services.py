"""Stores on loopback, each with its own protocol, at the address that the environment names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from components.raster.stores.cloud_store import CloudStore
from components.raster.stores.object_store import RETRIES, RequestRetries
from tests.stores.azure import azure_server
from tests.stores.gcs import gcs_server
from tests.stores.s3 import Bucket, s3_server

SECRET = "c2VjcmV0LW9mLXRoZS1hY2NvdW50"
ENVIRONMENTS = {
    "s3": {
        "AWS_ENDPOINT_URL": "{url}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    },
    "gs": {"STORAGE_EMULATOR_HOST": "{url}"},
    "az": {
        "AZURE_STORAGE_ENDPOINT": "{url}",
        "AZURE_STORAGE_ACCOUNT_NAME": "account",
        "AZURE_STORAGE_ACCOUNT_KEY": SECRET,
    },
}
_SERVERS = {"s3": s3_server, "gs": gcs_server, "az": azure_server}
_OTHERS = ("AWS_", "GOOGLE_", "AZURE_", "STORAGE_")


@dataclass(frozen=True)
class Service:
    """A store on loopback with one bucket."""

    uri: str
    bucket: Bucket

    def open(self, retries: RequestRetries = RETRIES) -> CloudStore:
        """Opens the store anew, as another process would."""
        return CloudStore(self.uri, retries)


@contextmanager
def service_on_loopback(
    scheme: str, path: str, monkeypatch: pytest.MonkeyPatch, name: str = "models"
) -> Iterator[Service]:
    """Yields a store of a scheme with one bucket, to which the environment points."""
    with _SERVERS[scheme](name) as (url, bucket):
        without_credentials(monkeypatch)
        for variable, value in ENVIRONMENTS[scheme].items():
            monkeypatch.setenv(variable, value.format(url=url))
        yield Service(f"{scheme}://{name}/{path}", bucket)


def without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides the credentials in the machine's own environment and home."""
    for name in list(os.environ):
        if name.startswith(_OTHERS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nonexistent")
