"""The pod that a step of a package becomes, written from the sources of Kubeflow Pipelines 2.17.0.

Its compiler (v2/compiler/argocompiler/container.go) writes the template with its own volumes, its
driver (v2/driver/driver.go, k8s.go) a patch with what the package says, and Argo merges the two by
the names of containers, volumes and variables and by the paths of mounts.
"""

import json
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

_VOLUMES = {
    "kfp-launcher": "/kfp-launcher",
    "gcs-scratch": "/gcs",
    "s3-scratch": "/s3",
    "minio-scratch": "/minio",
    "dot-local-scratch": "/.local",
    "dot-cache-scratch": "/.cache",
    "dot-config-scratch": "/.config",
    "var-run-argo": "/var/run/argo",
}
#: Variables of the compiler's template and of Argo.
_VARIABLES = ("KFP_POD_NAME", "KFP_POD_UID", "NAMESPACE", "ARGO_DEADLINE", "ARGO_TEMPLATE")
_RESOURCES = {
    "resourceCpuRequest": ("requests", "cpu"),
    "resourceCpuLimit": ("limits", "cpu"),
    "resourceMemoryRequest": ("requests", "memory"),
    "resourceMemoryLimit": ("limits", "memory"),
}


class NotMerged(Exception):
    """Argo cannot merge the patch: its list has two items of one key."""


def pod(name: str, container: Json, platform: Json) -> Json:
    """Returns the pod of an executor.

    Args:
        name: name of the pod.
        container: the executor's container in the pipeline's document.
        platform: the executor's settings in the platform document.

    Raises:
        NotMerged: the patch names a variable or a path twice.
    """
    volumes, mounts = _volumes(platform)
    variables = [*container.get("env", []), *_secret_variables(platform)]
    _require_unique("env", [one["name"] for one in variables])
    _require_unique("volumeMounts", [one["mountPath"] for one in mounts])
    known = {one["name"] for one in variables}
    main: Json = {
        "name": "main",
        "image": container["image"],
        "command": ["/var/run/argo/argoexec", "emissary", "--"],
        "args": [*container["command"], *container["args"]],
        "env": [
            *variables,
            *({"name": name, "value": "a"} for name in _VARIABLES if name not in known),
        ],
        "resources": _resources(container.get("resources", {})),
        "volumeMounts": [
            *mounts,
            *({"name": name, "mountPath": path} for name, path in _VOLUMES.items()),
        ],
    }
    if policy := platform.get("imagePullPolicy"):
        main["imagePullPolicy"] = policy
    spec: Json = {
        "containers": [main],
        "restartPolicy": "Never",
        "serviceAccountName": "default",
        "volumes": [*volumes, *({"name": name, "emptyDir": {}} for name in _VOLUMES)],
        "nodeSelector": platform.get("nodeSelector", {}).get("labels", {}),
        "tolerations": platform.get("tolerations", []),
        "imagePullSecrets": [
            {"name": one["secretName"]} for one in platform.get("imagePullSecret", [])
        ],
    }
    if deadline := platform.get("activeDeadlineSeconds"):
        spec["activeDeadlineSeconds"] = int(deadline)
    labels = platform.get("podMetadata", {}).get("labels", {})
    tree = {"metadata": {"name": name, "labels": labels}, "spec": spec}
    return {"apiVersion": "v1", "kind": "Pod", **json.loads(json.dumps(tree))}


def _volumes(platform: Json) -> tuple[list[Json], list[Json]]:
    """Volumes and mounts of claims, secrets and memory; each is named after what it mounts."""
    volumes, mounts = [], []
    for one in platform.get("pvcMount", []):
        claim = {"claimName": one["constant"]}
        volumes.append({"name": one["constant"], "persistentVolumeClaim": claim})
        mounts.append({"name": one["constant"], "mountPath": one["mountPath"]})
    for one in platform.get("secretAsVolume", []):
        secret = {"secretName": one["secretName"], "optional": False}
        volumes.append({"name": one["secretName"], "secret": secret})
        mounts.append({"name": one["secretName"], "mountPath": one["mountPath"]})
    if memory := platform.get("enabledSharedMemory"):
        folder = {"medium": "Memory", "sizeLimit": memory["size"]}
        volumes.append({"name": memory["volumeName"], "emptyDir": folder})
        mounts.append({"name": memory["volumeName"], "mountPath": "/dev/shm"})
    return volumes, mounts


def _secret_variables(platform: Json) -> list[Json]:
    return [
        {
            "name": pair["envVar"],
            "valueFrom": {
                "secretKeyRef": {
                    "name": one["secretName"],
                    "key": pair["secretKey"],
                    "optional": False,
                }
            },
        }
        for one in platform.get("secretAsEnv", [])
        for pair in one["keyToEnv"]
    ]


def _resources(given: Json) -> Json:
    found: Json = {"limits": {}, "requests": {}}
    for name, (side, kind) in _RESOURCES.items():
        if name in given:
            found[side][kind] = given[name]
    if accelerator := given.get("accelerator"):
        found["limits"][accelerator["resourceType"]] = accelerator["resourceCount"]
    return found


def _require_unique(what: str, keys: Sequence[str]) -> None:
    if len(set(keys)) < len(keys):
        raise NotMerged(f"{what} of a patch needs unique keys, and has {sorted(keys)}")
