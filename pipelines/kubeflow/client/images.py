"""Look-up of images in their registries, without credentials."""

import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

_DEFAULT_REGISTRY = "registry-1.docker.io"
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_TIMEOUT_S = 10


@dataclass(frozen=True)
class ImageName:
    """Parts of an image's name: registry, repository, and a digest or tag."""

    registry: str
    repository: str
    reference: str

    @classmethod
    def parse(cls, text: str) -> "ImageName":
        """Parses a name as container runtimes do: `alpine` is `docker.io/library/alpine:latest`."""
        name, at, digest = text.partition("@")
        first, slash, rest = name.partition("/")
        is_registry = bool(slash) and (bool({".", ":"} & set(first)) or first == "localhost")
        registry, path = (first, rest) if is_registry else (_DEFAULT_REGISTRY, name)
        path, _, tag = path.partition(":")
        if not is_registry and "/" not in path:
            path = f"library/{path}"
        if registry == "docker.io":
            registry = _DEFAULT_REGISTRY
        return cls(registry, path, digest if at else tag or "latest")

    @property
    def is_local(self) -> bool:
        """True for a registry on this machine, which container runtimes reach over http."""
        return urlsplit(f"//{self.registry}").hostname in ("localhost", "127.0.0.1", "::1")


def image_status(text: str) -> int:
    """Returns the registry's HTTP status for an image, 0 if it cannot be reached.

    200 means that anyone may pull it; 401 and 403 that it is private or does not exist; 404 that it
    does not exist. Where the registry asks for a token, an anonymous one is requested.
    """
    image = ImageName.parse(text)
    scheme = "http" if image.is_local else "https"
    url = f"{scheme}://{image.registry}/v2/{image.repository}/manifests/{image.reference}"
    status, challenge = _head(url)
    if status != 401:
        return status
    token = _anonymous_token(challenge, image)
    return _head(url, token)[0] if token else status


def _head(url: str, token: str = "") -> tuple[int, str]:
    """Returns the status of a HEAD request, and the challenge of a 401."""
    headers = {"Accept": _MANIFESTS} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, method="HEAD", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            return int(answer.status), ""
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("WWW-Authenticate", "")
    except (OSError, ValueError):
        return 0, ""


def _anonymous_token(challenge: str, image: ImageName) -> str:
    """Requests a token at the address that a registry names; empty if it names none over https."""
    found = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = found.get("realm", "")
    if not realm.startswith("https://") and not (image.is_local and realm.startswith("http://")):
        return ""
    scope = {"service": found.get("service", ""), "scope": f"repository:{image.repository}:pull"}
    try:
        with urllib.request.urlopen(f"{realm}?{urlencode(scope)}", timeout=_TIMEOUT_S) as answer:
            tree = json.load(answer)
    except (OSError, ValueError):
        return ""
    return str(tree.get("token") or tree.get("access_token") or "")
