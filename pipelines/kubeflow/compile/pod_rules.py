"""Rules of Kubernetes for pods that Kubeflow's compiler does not check.

The API server's rules are code and not in its OpenAPI schema, so no schema validator knows
them; each is listed here with its source in Kubernetes: `meta` is
k8s.io/apimachinery/pkg/util/validation/validation.go, `core` is
k8s.io/kubernetes/pkg/apis/core/validation/validation.go.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from components.raster.errors import ConfigError
from pipelines.config.kubeflow import KubeflowConfig, StepConfig
from pipelines.kubeflow.compile.platform import SHARED_MEMORY
from pipelines.kubeflow.compile.resources import cores, gigabytes

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_WORD = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"


class _Rule(NamedTuple):
    """A name format of the API server: `pattern` matches all of at most `longest` characters."""

    pattern: str
    longest: int
    words: str

    def refuses(self, text: str) -> bool:
        return len(text) > self.longest or not re.fullmatch(self.pattern, text)


# meta: IsDNS1123Label
_VOLUME = _Rule(_LABEL, 63, "up to 63 lower-case letters, digits and hyphens, and no dot")
# meta: IsDNS1123Subdomain
_OBJECT = _Rule(
    rf"{_LABEL}(\.{_LABEL})*", 253, "lower-case letters, digits, hyphens and dots, no part empty"
)
# meta: IsQualifiedName, the part after the slash
_NAME = _Rule(_WORD, 63, "up to 63 letters, digits and -_. between letters or digits")
# meta: IsValidLabelValue
_VALUE = _Rule(rf"({_WORD})?", 63, _NAME.words)
# meta: IsConfigMapKey
_KEY = _Rule(r"(?!\.\.?$)(?!\.\.)[-._a-zA-Z0-9]+", 253, "letters, digits and -_., not `.` or `..`")

#: The volumes that Kubeflow's compiler and Argo give every step, with their mount paths.
_TAKEN_VOLUMES = {
    "kfp-launcher": "/kfp-launcher",
    "gcs-scratch": "/gcs",
    "s3-scratch": "/s3",
    "minio-scratch": "/minio",
    "dot-local-scratch": "/.local",
    "dot-cache-scratch": "/.cache",
    "dot-config-scratch": "/.config",
    "var-run-argo": "/var/run/argo",
}


def require_pods(steps: Mapping[str, StepConfig], kubeflow: KubeflowConfig) -> None:
    """Validates the pod of every step.

    Args:
        steps: settings of each node, by its name.
        kubeflow: settings of all pods.

    Raises:
        ConfigError: Kubernetes would refuse a pod; the message names each fault and its steps.
    """
    found: dict[str, list[str]] = {}
    for secret in kubeflow.image_pull_secrets:
        for fault in _wrong("image_pull_secrets", secret, _OBJECT):
            found[fault] = list(steps)
    for node, step in steps.items():
        for fault in dict.fromkeys(_faults(step)):
            found.setdefault(fault, []).append(node)
    if found:
        lines = (
            f"  {'every step' if len(nodes) == len(steps) else ', '.join(nodes)}: {fault}"
            for fault, nodes in found.items()
        )
        raise ConfigError("Kubernetes would refuse these pods:\n" + "\n".join(lines))


def _faults(step: StepConfig) -> Iterator[str]:
    for look in _LOOKS:
        yield from look(step)


def _names(step: StepConfig) -> Iterator[str]:
    """Validates the names of claims and secrets, after which Kubeflow names the volumes."""
    for volume in step.volumes or ():
        for fault in _wrong("volumes: the claim", volume.claim, _VOLUME):
            yield f"{fault}; Kubeflow names the volume after the claim: make one of such a name"
    for secret in step.secret_volumes or ():
        for fault in _wrong("secret_volumes: the secret", secret.secret, _VOLUME):
            yield f"{fault}; Kubeflow names the volume after the secret: make one with such a name"
    for one in step.secret_variables or ():
        yield from _wrong("secret_variables: the secret", one.secret, _OBJECT)
        yield from _wrong("secret_variables: the key", one.key, _KEY)


def _volumes(step: StepConfig) -> Iterator[str]:
    """core: ValidateVolumes and ValidateVolumeMounts require unique names and paths."""
    claims = [(it.claim, it.path) for it in step.volumes or ()]
    secrets = [(it.secret, it.path) for it in step.secret_volumes or ()]
    memory = [(SHARED_MEMORY, "/dev/shm")] if step.shared_memory else []
    mounts = [*claims, *secrets, *memory]
    for name in _twice(name for name, _ in mounts):
        yield (
            f"two volumes are named {name}: Kubeflow names each after its claim or secret, so each "
            "can be mounted once, and a claim and a secret need different names"
        )
    for path in _twice(posixpath.normpath(path) for _, path in mounts):
        yield f"two volumes are mounted at {path}: give each a path of its own"
    for name, path in mounts:
        place = posixpath.normpath(path)
        if name in _TAKEN_VOLUMES:
            yield f"a volume is named {name}, which Kubeflow uses for one of its own"
        if place in _TAKEN_VOLUMES.values():
            yield f"a volume is mounted at {place}, where Kubeflow mounts one of its own"


def _environment(step: StepConfig) -> Iterator[str]:
    """core: the API server merges variables by name, and refuses a patch with two of one."""
    secret = [one.variable for one in step.secret_variables or ()]
    for name in _twice([*(step.environment or ()), *secret]):
        yield f"the variable {name} is given twice: by environment or secret_variables, not by both"


def _labels(step: StepConfig) -> Iterator[str]:
    """meta: ValidateLabels, for a pod's labels and its node selector."""
    for option, labels in (("labels", step.labels), ("node_selector", step.node_selector)):
        for key, value in (labels or {}).items():
            yield from _wrong_qualified(option, key)
            yield from _wrong(f"{option}.{key}: the value", value, _VALUE)


def _tolerations(step: StepConfig) -> Iterator[str]:
    """core: ValidateTolerations."""
    for one in step.tolerations or ():
        yield from _wrong_qualified("tolerations", one.key)
        yield from _wrong(f"tolerations.{one.key}: the value", one.value, _VALUE)
        if one.operator == "Exists" and one.value:
            yield f"tolerations.{one.key}: Exists takes no value; with one it has to be Equal"


def _resources(step: StepConfig) -> Iterator[str]:
    """core: ValidateResourceRequirements."""
    pairs: list[tuple[str, str | None, str | None, Callable[[str], float]]] = [
        ("cpu", step.cpu_request, step.cpu_limit, cores),
        ("memory", step.memory_request, step.memory_limit, gigabytes),
    ]
    for what, request, limit, number in pairs:
        if request and limit and number(request) > number(limit):
            yield f"{what}_request {request} is more than {what}_limit {limit}"
    if step.accelerator:
        resource = step.accelerator.resource
        if "/" not in resource:
            yield f"accelerator.resource {resource!r}: it has a domain, such as nvidia.com/gpu"
        yield from _wrong_qualified("accelerator.resource", resource)


_LOOKS: tuple[Callable[[StepConfig], Iterator[str]], ...] = (
    _names,
    _volumes,
    _environment,
    _labels,
    _tolerations,
    _resources,
)


def _wrong(what: str, text: str, rule: _Rule) -> Iterator[str]:
    if rule.refuses(text):
        yield f"{what} {text!r}: it has to be {rule.words}"


def _wrong_qualified(option: str, key: str) -> Iterator[str]:
    """meta: IsQualifiedName, `name` or `domain/name`."""
    domain, slash, name = key.rpartition("/")
    if slash:
        yield from _wrong(f"{option}: the domain of {key!r},", domain, _OBJECT)
    yield from _wrong(f"{option}: the name in {key!r},", name, _NAME)


def _twice(texts: Iterable[str]) -> list[str]:
    return [text for text, count in Counter(texts).items() if count > 1]
