"""A stand-in for the base image, for machines that reach no registry of images.

Debian's own packages of the same release, from the mirror that the machine's apt uses, under the
name that the Dockerfile gives. What the machine needs to reach package indexes (certificates, pip's
settings) is in it, so that an unmodified Dockerfile builds on it.
"""

import hashlib
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import docker

from scripts.bootstrap import uv_environment

RELEASE = "trixie"
_BUNDLE = "etc/ssl/stand-in.pem"
_STAMP = "skymill.stand-in"


def debian_mirror(system: Path = Path("/etc")) -> str | None:
    """The archive of Debian's in apt's sources, whatever release is taken from there.

    None on another distribution.
    """
    release = system / "os-release"
    if not (release.is_file() and re.search(r"(?m)^ID=debian$", release.read_text())):
        return None
    apt = system / "apt"
    for path in sorted([*apt.glob("sources.list"), *apt.glob("sources.list.d/*")]):
        for uri in _archives(path.read_text()):
            return uri
    return None


def _archives(text: str) -> list[str]:
    """Archives with the updates of a release, as Debian's own are, in either of apt's formats."""
    found = re.findall(r"(?m)^deb\s+(?:\[.*?\]\s+)?(\S+)\s+(\S+)", text)
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"(?m)^(URIs|Suites|Types):\s*(.+)$", stanza))
        if "deb" in fields.get("Types", "").split():
            suites = fields.get("Suites", "").split()
            found += [(uri, suite) for uri in fields["URIs"].split() for suite in suites]
    return [uri for uri, suite in found if re.fullmatch(r"[a-z]+-updates", suite)]


def make_base(client: docker.DockerClient, name: str, mirror: str, folder: Path) -> None:
    """Imports a minimal Debian as the image `name`, if the engine does not have it yet."""
    environment = uv_environment(os.environ, [sys.executable, "-m", "pip"])
    settings = _settings(environment)
    index = environment.get("UV_DEFAULT_INDEX", "")
    facts = repr((RELEASE, mirror, sorted(settings.items()), index))
    stamp = hashlib.sha256(facts.encode()).hexdigest()
    if _stamp_of(client, name) == stamp:
        return
    archive = folder / "base.tar"
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", RELEASE, str(archive), mirror], check=True
    )
    with tarfile.open(archive, "a") as tar:
        for path, data in settings.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            member.mode = 0o644
            tar.addfile(member, BytesIO(data))
    changes = [f"LABEL {_STAMP}={stamp}"]
    if _BUNDLE in settings:
        changes.append(f"ENV SSL_CERT_FILE=/{_BUNDLE}")
    if index:
        changes.append(f"ENV UV_DEFAULT_INDEX={index}")
    repository, tag = name.rsplit(":", 1)
    client.api.import_image_from_file(str(archive), repository, tag, changes=changes)
    archive.unlink()


def _stamp_of(client: docker.DockerClient, name: str) -> str | None:
    """The digest of what a base was made of."""
    try:
        stamp: str | None = client.images.get(name).labels.get(_STAMP)
    except docker.errors.ImageNotFound:
        return None
    return stamp


def _settings(environment: Mapping[str, str]) -> dict[str, bytes]:
    """Files with which pip and apt reach from inside what they reach from this machine."""
    pip, files = ["[global]"], dict[str, bytes]()
    bundle = Path(environment.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    if bundle.is_file():
        files[_BUNDLE] = bundle.read_bytes()
        files["etc/apt/apt.conf.d/90stand-in"] = b'Acquire::https::CAInfo "/%b";\n' % (
            _BUNDLE.encode()
        )
        pip.append(f"cert = /{_BUNDLE}")
    if "UV_DEFAULT_INDEX" in environment:
        pip.append(f"index-url = {environment['UV_DEFAULT_INDEX']}")
    files["etc/pip.conf"] = "\n".join([*pip, ""]).encode()
    return files
