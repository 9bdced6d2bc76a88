"""The Secret's PEM files become what TensorFlow Serving reads."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from tests.k8s.conftest import Manifests


def pem(kind: str, body: str) -> str:
    return f"-----BEGIN {kind}-----\n{body}\n{body}==\n-----END {kind}-----\n"


CHAIN = pem("CERTIFICATE", "bGVhZg") + pem("CERTIFICATE", "aXNzdWVy")
KEY = pem("PRIVATE KEY", "a2V5")
AUTHORITY = pem("CERTIFICATE", "Y2E")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A mounted Secret, with the remarks that some tools write around certificates."""
    folder = tmp_path / "tls"
    folder.mkdir()
    remarks = 'subject=O = "A \\ B"\nissuer=CN = x\n'
    (folder / "tls.crt").write_text(remarks + CHAIN)
    (folder / "tls.key").write_text(KEY.replace("\n", "\r\n"))
    (folder / "ca.crt").write_text(AUTHORITY.rstrip("\n"))
    return folder


def run(repository: Path, secret: Path, clients: str = "no") -> subprocess.CompletedProcess[str]:
    script = repository / "k8s" / "components" / "tls" / "ssl_config.sh"
    command = ["bash", str(script), str(secret), str(secret.parent / "ssl.config")]
    environment = {**os.environ, "SKYMILL_CLIENT_CERTIFICATES": clients}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=30, check=False
    )


def ssl_config(text: str) -> Any:
    """A text as tensorflow.serving.SSLConfig, with the fields of its public .proto file."""
    file = descriptor_pb2.FileDescriptorProto(name="s.proto", package="s", syntax="proto3")
    message = file.message_type.add(name="SSLConfig")
    for number, name in enumerate(("server_key", "server_cert", "custom_ca"), start=1):
        message.field.add(name=name, number=number, label=1, type=9)
    message.field.add(name="client_verify", number=4, label=1, type=8)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("s.SSLConfig"))
    return text_format.Parse(text, kind())


def test_certificate_and_key_arrive_unchanged(repository: Path, secret: Path) -> None:
    result = run(repository, secret)
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "")
    file = secret.parent / "ssl.config"
    config = ssl_config(file.read_text())
    assert config.server_cert == CHAIN
    assert config.server_key == KEY
    assert (config.custom_ca, config.client_verify) == ("", False)
    assert file.stat().st_mode & 0o077 == 0


def test_client_certificates(repository: Path, secret: Path) -> None:
    assert run(repository, secret, clients="required").returncode == 0
    config = ssl_config((secret.parent / "ssl.config").read_text())
    assert config.custom_ca == AUTHORITY
    assert config.client_verify is True


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key", "ca.crt"])
def test_half_a_secret_stops_the_pod(repository: Path, secret: Path, missing: str) -> None:
    (secret / missing).unlink()
    result = run(repository, secret, clients="required")
    assert result.returncode != 0
    assert f"{missing} is missing or empty" in result.stderr
    assert not (secret.parent / "ssl.config").exists()


def test_the_server_reads_what_the_init_container_writes(production: Manifests) -> None:
    spec = production.one("Deployment")["spec"]["template"]["spec"]
    [init] = spec["initContainers"]
    *_, folder, file = init["command"]
    assert f"--ssl_config_file={file}" in production.server()["args"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    init_mounts = {mount["mountPath"]: mount["name"] for mount in init["volumeMounts"]}
    server_mounts = {m["mountPath"]: m["name"] for m in production.server()["volumeMounts"]}
    written = str(Path(file).parent)
    assert init_mounts[written] == server_mounts[written]
    assert volumes[init_mounts[written]]["emptyDir"]["medium"] == "Memory"
    assert volumes[init_mounts[folder]]["secret"] == {"secretName": "skymill-serving-tls"}
