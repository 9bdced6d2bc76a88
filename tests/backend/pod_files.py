"""Files that a kubelet lays out for a pod: folders of its volumes, variables of its containers."""

import base64
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.kubeflow.cluster.api import KubernetesApi

Json = dict[str, Any]

#: A kubelet gives a token for an hour and renews it; here it lasts as long as the tests may.
_TOKEN_S = 24 * 3600
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)|\$\$")


@dataclass(frozen=True)
class PodFiles:
    """The files of one pod.

    Attributes:
        api: the namespace of the pod, with the rights of a kubelet.
        pod: as the server has it.
        folder: where volumes are laid out.
        claims: a folder for each persistent volume claim.
    """

    api: KubernetesApi
    pod: Json
    folder: Path
    claims: Path

    def lay_out(self) -> None:
        """Makes the folders of all volumes."""
        for volume in self.pod["spec"].get("volumes", []):
            [kind] = volume.keys() - {"name"}
            target = self._volume(volume)
            target.mkdir(parents=True, exist_ok=True)
            for path, data in self._contents(kind, volume[kind] or {}):
                place = target / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)

    def remove(self) -> None:
        """Removes what belongs to the pod alone."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def mounts(self, container: Json) -> list[tuple[Path, str]]:
        """Sources and targets of a container's mounts; an outer target comes before an inner."""
        volumes = {one["name"]: one for one in self.pod["spec"].get("volumes", [])}
        found = []
        for mount in container.get("volumeMounts", []):
            source = self._volume(volumes[mount["name"]]) / mount.get("subPath", "")
            if not source.exists():
                source.mkdir(parents=True)
            found.append((source, mount["mountPath"].rstrip("/")))
        return sorted(found, key=lambda one: one[1])

    def variables(self, container: Json) -> dict[str, str]:
        """The variables of a container, of which a later one may refer to those before."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            [(kind, given)] = source.items()
            kind, optional = kind.removesuffix("Ref"), given.get("optional", False)
            entries = self._entries(kind, given["name"], optional=optional)
            found |= {key: data.decode() for key, data in entries.items()}
        for one in container.get("env", []):
            if "valueFrom" in one:
                value = self._looked_up(one["valueFrom"])
            else:
                value = expanded(one.get("value", ""), found)
            if value is not None:
                found[one["name"]] = value
        return found

    def _volume(self, volume: Json) -> Path:
        if claim := volume.get("persistentVolumeClaim"):
            return self.claims / str(claim["claimName"])
        return self.folder / str(volume["name"])

    def _contents(self, kind: str, source: Json) -> Iterator[tuple[str, bytes]]:
        if kind in ("emptyDir", "persistentVolumeClaim"):
            return
        if kind == "projected":
            for part in source["sources"]:
                [(name, inner)] = part.items()
                yield from self._contents(name, inner)
        elif kind in ("configMap", "secret"):
            name = source.get("name") or source["secretName"]
            entries = self._entries(kind, name, optional=source.get("optional", False))
            paths = {one["key"]: one["path"] for one in source.get("items", [])}
            for key, data in entries.items():
                if not paths or key in paths:
                    yield paths.get(key, key), data
        elif kind == "serviceAccountToken":
            yield source["path"], self._token(source).encode()
        elif kind == "downwardAPI":
            for item in source["items"]:
                yield item["path"], self._field(item["fieldRef"]["fieldPath"]).encode()
        else:
            raise ValueError(f"a volume of kind {kind}")

    def _token(self, source: Json) -> str:
        account = self.pod["spec"]["serviceAccountName"]
        audience = [source["audience"]] if "audience" in source else None
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        body["spec"] = {"audiences": audience, "expirationSeconds": _TOKEN_S}  # type: ignore[assignment]
        path = self.api.path("v1", "serviceaccounts", f"{account}/token")
        return str(self.api.create(path, body)["status"]["token"])

    def _looked_up(self, source: Json) -> str | None:
        [(kind, given)] = source.items()
        if kind == "fieldRef":
            return self._field(given["fieldPath"])
        optional = given.get("optional", False)
        entries = self._entries(kind.removesuffix("KeyRef"), given["name"], optional=optional)
        if given["key"] not in entries and not optional:
            raise ValueError(f"{given['name']} has no key {given['key']}")
        return entries[given["key"]].decode() if given["key"] in entries else None

    def _entries(self, kind: str, name: str, *, optional: bool = False) -> dict[str, bytes]:
        """The values of a ConfigMap or Secret."""
        found = self.api.find(self.api.path("v1", f"{kind.lower()}s", name))
        if found is None and not optional:
            raise ValueError(f"no {kind} {name}")
        data: Mapping[str, str] = (found or {}).get("data") or {}
        if kind == "secret":
            return {key: base64.b64decode(value) for key, value in data.items()}
        return {key: value.encode() for key, value in data.items()}

    def _field(self, path: str) -> str:
        fixed = {"status.podIP": "127.0.0.1", "status.hostIP": "127.0.0.1"}
        if path in fixed:
            return fixed[path]
        path, _, key = path.partition("[")
        found: Any = self.pod
        for name in path.split("."):
            found = found.get(name) or {}
        if key:
            return str(found.get(key.strip("'\"]"), ""))
        if isinstance(found, dict):  # labels and annotations, as lines of NAME="VALUE"
            lines = (f'{name}="{_quoted(value)}"\n' for name, value in sorted(found.items()))
            return "".join(lines)
        return str(found)


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Text with references to variables replaced as Kubernetes does: unknown ones are kept."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
