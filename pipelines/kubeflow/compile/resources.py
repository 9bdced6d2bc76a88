"""Container resources in the format of either backend."""

import re
from typing import Any

from pipelines.config.kubeflow import StepConfig

#: Bytes in a unit, as Kubernetes spells them.
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
_UNITS |= {f"{letter}i": 1 << (10 * power) for power, letter in enumerate("KMGTP", start=1)}


def kubernetes_resources(step: StepConfig) -> dict[str, Any]:
    """Returns quantities as strings, and accelerators by their resource name in Kubernetes."""
    quantities = {
        "resourceCpuRequest": step.cpu_request,
        "resourceCpuLimit": step.cpu_limit,
        "resourceMemoryRequest": step.memory_request,
        "resourceMemoryLimit": step.memory_limit,
    }
    found: dict[str, Any] = {name: value for name, value in quantities.items() if value}
    if step.accelerator:
        found["accelerator"] = {
            "resourceType": step.accelerator.resource,
            "resourceCount": str(step.accelerator.count),
        }
    return found


def vertex_resources(step: StepConfig) -> dict[str, Any]:
    """Returns cores and gigabytes as numbers, and accelerators by Vertex AI's own names."""
    quantities = {
        "cpuRequest": step.cpu_request and cores(step.cpu_request),
        "cpuLimit": step.cpu_limit and cores(step.cpu_limit),
        "memoryRequest": step.memory_request and gigabytes(step.memory_request),
        "memoryLimit": step.memory_limit and gigabytes(step.memory_limit),
    }
    found: dict[str, Any] = {name: value for name, value in quantities.items() if value}
    if step.accelerator and step.accelerator.vertex_type:
        found["accelerator"] = {
            "type": step.accelerator.vertex_type,
            "count": str(step.accelerator.count),
        }
    return found


def cores(quantity: str) -> float:
    """Converts a quantity to cores: `500m` is 0.5."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def gigabytes(quantity: str) -> float:
    """Converts a quantity to gigabytes: `1Gi` is 1.073741824."""
    number, unit = re.fullmatch(r"([0-9.]+)(.*)", quantity).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit] / 1e9
