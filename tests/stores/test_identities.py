"""Credentials as workloads, containers and profiles get them, from servers on loopback."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from components.raster.stores.credentials import gcs_access
from components.raster.stores.object_store import StorageError
from tests.loopback import QuietHandler, http_server, make_certificate, tls_of
from tests.stores.services import SECRET, Service, service_on_loopback, without_credentials

KEYS = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": SECRET}
UNTIL = "2100-01-01T00:00:00Z"
STS = f"""<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>{KEYS["AccessKeyId"]}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>
<SessionToken>session</SessionToken><Expiration>{UNTIL}</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


@contextmanager
def identity_server(
    answer: str, status: int = 200, certificate: Path | None = None
) -> Iterator[tuple[str, list[str]]]:
    """The address of a server that gives out credentials, and the requests that it got."""
    asked: list[str] = []

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            shown = self.headers.get("Authorization", "")
            asked.append(f"{self.command} {self.path} {shown} {body}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        do_POST = do_PUT = do_GET

    with http_server(Handler, tls_of(certificate) if certificate else None) as address:
        yield address, asked


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A bucket whose keys are not in the environment."""
    with service_on_loopback("s3", "land", monkeypatch) as service:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        yield service


def test_a_web_identity_token_is_exchanged_for_a_role(
    s3: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("the-pods-token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/models")
    certificate = make_certificate(tmp_path / "server.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with identity_server(STS, certificate=certificate) as (address, asked):
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", address)
        s3.open().write("a", b"1")
    assert s3.bucket.objects["land/a"] == b"1"
    (request,) = asked
    assert "WebIdentityToken=the-pods-token" in request
    assert "role%2Fmodels" in request or "role/models" in request


def test_a_containers_role(s3: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EKS Pod Identity: a token of the pod is shown to an agent on the node."""
    (tmp_path / "token").write_text("the-pods-token")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
    answer = json.dumps({**KEYS, "Token": "session", "Expiration": UNTIL})
    with identity_server(answer) as (address, asked):
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{address}/v1/credentials")
        s3.open().write("a", b"1")
    assert s3.bucket.objects["land/a"] == b"1"
    assert asked == ["GET /v1/credentials the-pods-token "]


def test_a_profile_whose_program_prints_the_keys(
    s3: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program.py").write_text(f"print({json.dumps(json.dumps({'Version': 1, **KEYS}))})")
    config = f"[profile land]\ncredential_process = {sys.executable} {tmp_path / 'program.py'}\n"
    (tmp_path / "config").write_text(config)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "land")
    s3.open().write("a", b"1")
    assert s3.bucket.objects["land/a"] == b"1"
    (tmp_path / "program.py").write_text("raise SystemExit('log in again')")
    with pytest.raises(StorageError, match="log in again"):
        s3.open().write("a", b"2")


def test_a_refused_identity_is_reported_by_its_source(
    s3: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("expired-token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/models")
    refusal = "<ErrorResponse><Error><Code>ExpiredTokenException</Code></Error></ErrorResponse>"
    certificate = make_certificate(tmp_path / "server.pem")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with identity_server(refusal, 400, certificate) as (address, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", address)
        message = "s3://models/land/a: .*ExpiredToken.*AWS_WEB_IDENTITY_TOKEN_FILE"
        with pytest.raises(StorageError, match=message) as raised:
            s3.open().write("a", b"1")
    assert "expired-token" not in str(raised.value)


def test_a_federated_token_of_azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("the-pods-token")
    answer = json.dumps({"access_token": "access", "expires_in": 3600, "token_type": "Bearer"})
    with (
        service_on_loopback("az", "land", monkeypatch) as service,
        identity_server(answer) as (address, asked),
    ):
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
        for name, value in {
            "AZURE_FEDERATED_TOKEN_FILE": str(tmp_path / "token"),
            "AZURE_CLIENT_ID": "client",
            "AZURE_TENANT_ID": "tenant",
            "AZURE_AUTHORITY_HOST": address,
        }.items():
            monkeypatch.setenv(name, value)
        service.open().write("a", b"1")
    assert service.bucket.objects["land/a"] == b"1"
    (request,) = asked
    assert request.startswith("POST /tenant/oauth2/v2.0/token")
    assert parse_qs(request.rpartition(" ")[2])["client_assertion"] == ["the-pods-token"]


def test_a_federated_identity_of_google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workload outside of Google's cloud: its token is exchanged, and google-auth does it."""
    without_credentials(monkeypatch)
    (tmp_path / "token").write_text("the-pods-token")
    answer = json.dumps(
        {
            "access_token": "access",
            "expires_in": 3600,
            "token_type": "Bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }
    )
    with identity_server(answer) as (address, asked):
        file = tmp_path / "credentials.json"
        file.write_text(
            json.dumps(
                {
                    "type": "external_account",
                    "audience": "//iam.googleapis.com/projects/1/locations/global/pools/p",
                    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                    "token_url": f"{address}/v1/token",
                    "credential_source": {"file": str(tmp_path / "token")},
                }
            )
        )
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        provider = gcs_access(os.environ, tmp_path).provider
        assert provider is not None
        assert provider()()["token"] == "access"
    assert any("the-pods-token" in request for request in asked)
