"""Credentials and addresses of object stores, found as the clouds' own tools do.

obstore reads keys, web identity tokens and metadata servers itself. This module finds what it does
not read: profiles of the AWS tools, Google's federated identities, and the emulators' addresses.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.raster.stores.object_store import StorageError

_AWS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_AWS_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_AWS_CONTAINER = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_GOOGLE_FILES = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT")
_GOOGLE_DEFAULT = ".config/gcloud/application_default_credentials.json"
_AZURE_KEYS = ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_SAS_TOKEN")
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
#: Kinds of Google's credential files that obstore reads itself.
_GOOGLE_KINDS = ("service_account", "authorized_user")


@dataclass(frozen=True)
class Access:
    """Settings to open a store.

    Attributes:
        source: origin of its credentials, for messages.
        settings: obstore's settings, beside those that it reads from the environment.
        endpoint: address of a store other than the cloud's own.
        provider: makes the function that obstore calls for credentials; imports a cloud's library.
        certificates: file of certificates to trust beside the system's.
    """

    source: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    endpoint: str = ""
    provider: Callable[[], Any] | None = None
    certificates: str = ""


def s3_access(environment: Mapping[str, str], home: Path) -> Access:
    """Finds access to S3: keys, web identity, a profile, a container's role, a machine's role.

    Raises:
        StorageError: half a key, or no source at all.
    """
    endpoint = next((environment[it] for it in _AWS_ENDPOINTS if environment.get(it)), "")
    # Single deletes: not every store with S3's protocol deletes several objects by one request.
    settings = {"disable_bulk_delete": True} | ({"endpoint": endpoint} if endpoint else {})
    source, provider = _s3_source(environment, home)
    certificates = environment.get("AWS_CA_BUNDLE", "")
    return Access(source, settings, endpoint, provider, certificates)


def _s3_source(environment: Mapping[str, str], home: Path) -> tuple[str, Callable[[], Any] | None]:
    given = [name for name in _AWS_KEYS if environment.get(name)]
    if len(given) == 1:
        (missing,) = set(_AWS_KEYS) - set(given)
        raise StorageError(f"{given[0]} is set and {missing} is not: set both")
    if given:
        return given[0], None
    if environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
        return "AWS_WEB_IDENTITY_TOKEN_FILE", None
    if profile := _aws_profile(environment, home):
        return profile, _aws_session
    for name in _AWS_CONTAINER:
        if environment.get(name):
            return name, None
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        raise StorageError(
            f"no credentials for S3: set {' and '.join(_AWS_KEYS)}, name an AWS_PROFILE, or give "
            "the ServiceAccount or the machine a role"
        )
    return "the machine's role (instance metadata)", None


def _aws_profile(environment: Mapping[str, str], home: Path) -> str:
    if name := environment.get("AWS_PROFILE"):
        return f"AWS_PROFILE {name}"
    places = (
        environment.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials",
        environment.get("AWS_CONFIG_FILE") or home / ".aws" / "config",
    )
    return next((str(place) for place in places if Path(place).is_file()), "")


def _aws_session() -> Any:
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as error:
        raise StorageError("profiles need boto3: install it, or set the keys themselves") from error
    return _provided(Boto3CredentialProvider)


def gcs_access(environment: Mapping[str, str], home: Path) -> Access:
    """Finds access to Cloud Storage: a credentials file, gcloud's login, a metadata server.

    Raises:
        StorageError: the named file cannot be read.
    """
    if emulator := environment.get("STORAGE_EMULATOR_HOST"):
        address = emulator if "://" in emulator else f"http://{emulator}"
        settings = {"base_url": address.rstrip("/"), "bearer_token": "anonymous"}
        return Access("none: STORAGE_EMULATOR_HOST is set", settings, address)
    for name in _GOOGLE_FILES:
        if path := environment.get(name):
            return Access(name, {}, "", _google_provider(Path(path), name))
    if environment.get("GOOGLE_SERVICE_ACCOUNT_KEY"):
        return Access("GOOGLE_SERVICE_ACCOUNT_KEY")
    if (default := home / _GOOGLE_DEFAULT).is_file():
        return Access(str(default), {}, "", _google_provider(default, "gcloud"))
    return Access("the machine's or ServiceAccount's identity (metadata server)")


def _google_provider(path: Path, named_by: str) -> Callable[[], Any] | None:
    """Returns the library's provider for a file that obstore cannot read itself."""
    try:
        kind = json.loads(path.read_bytes()).get("type")
    except OSError as error:
        raise StorageError(f"{named_by}: {path} cannot be read ({error.strerror})") from error
    except (ValueError, AttributeError):
        raise StorageError(f"{named_by}: {path} is not a file of credentials") from None
    return None if kind in _GOOGLE_KINDS else _google_default


def _google_default() -> Any:
    try:
        import google.auth
        from google.auth.credentials import with_scopes_if_required
        from obstore.auth.google import GoogleCredentialProvider
    except ImportError as error:
        raise StorageError("this kind of credentials needs google-auth: install it") from error

    def provider() -> Any:
        found, _ = google.auth.default()  # with scopes it would also look up the project's id
        scoped = with_scopes_if_required(found, [_GOOGLE_SCOPE])  # type: ignore[no-untyped-call]
        return GoogleCredentialProvider(scoped)

    return _provided(provider)


def _provided(kind: Callable[[], Any]) -> Any:
    try:
        return kind()
    except Exception as error:  # the clouds' libraries share no base class
        raise StorageError(f"the credentials cannot be read ({error})") from error


def azure_access(environment: Mapping[str, str], home: Path) -> Access:
    """Finds access to Azure: an account's key or token, a workload's, a machine's identity.

    Raises:
        StorageError: the account is not named.
    """
    endpoint = environment.get("AZURE_STORAGE_ENDPOINT", "")
    if not environment.get("AZURE_STORAGE_ACCOUNT_NAME"):
        raise StorageError("AZURE_STORAGE_ACCOUNT_NAME is not set: name the storage account")
    return Access(_azure_source(environment), {}, endpoint)


def _azure_source(environment: Mapping[str, str]) -> str:
    named = (*_AZURE_KEYS, "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE")
    found = next((name for name in named if environment.get(name)), "")
    if not found and environment.get("AZURE_USE_AZURE_CLI", "").lower() == "true":
        return "the Azure CLI's login"
    return found or "the machine's managed identity"
