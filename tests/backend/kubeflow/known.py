"""Facts about runs apart from Skymill: from Argo's workflows and Kubeflow's own store.

The store is ML Metadata in releases that have it, and the API's tasks in those without.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

from ml_metadata import MetadataStore
from ml_metadata.proto.metadata_store_pb2 import Execution, MetadataStoreClientConfig

from tests.backend.kubeflow.installation import Kubeflow
from tests.backend.processes import until

Json = dict[str, Any]

_WORKFLOWS = "argoproj.io/v1alpha1"
_ENDED = ("Succeeded", "Failed", "Error")


@dataclass(frozen=True)
class Attempt:
    """A pod of a step.

    Attributes:
        pod: its name.
        phase, message: Argo's.
        began: when, in ISO 8601.
        log: what the step printed; empty if its pod is gone.
    """

    pod: str
    phase: str
    message: str
    began: str
    log: str


def workflow(installation: Kubeflow, run_id: str) -> Json:
    """The workflow of a run, as Argo's controller keeps it."""
    api = installation.cluster.admin()
    listed = api.find(api.path(_WORKFLOWS, "workflows"), labelSelector=f"pipeline/runid={run_id}")
    [found] = (listed or {})["items"]
    return dict(found)


def ended(installation: Kubeflow, run_id: str, seconds: float) -> Json:
    """The status of a run's workflow, once it has ended."""

    def status() -> Json:
        known: Json = workflow(installation, run_id).get("status") or {}
        return known if known.get("phase") in _ENDED else {}

    return dict(until(status, seconds))


def attempts(installation: Kubeflow, run_id: str, step: str) -> list[Attempt]:
    """The pods of a step, in the order of their start; those of its driver are none."""
    found = workflow(installation, run_id)
    nodes = (found.get("status") or {}).get("nodes", {}).values()
    pods = [node for node in nodes if node["type"] == "Pod" and step in _names(node)]
    made = [_attempt(installation, found["metadata"]["name"], node) for node in pods]
    return sorted(made, key=lambda one: (one.began, one.pod))


def computed(installation: Kubeflow, run_id: str) -> set[str]:
    """The steps of a run that had a pod."""
    nodes = workflow(installation, run_id)["status"]["nodes"].values()
    return {_names(node)[-2] for node in nodes if node["type"] == "Pod" and _is_executor(node)}


def cached(installation: Kubeflow, run_id: str) -> set[str]:
    """The steps that a run took from the cache, as its driver notes them."""
    if not installation.metadata:
        return {one["name"] for one in _tasks(installation, run_id) if one["state"] == "CACHED"}
    found = _executions(installation, run_id)
    return {_task(one) for one in found if one.last_known_state == Execution.CACHED}


def output(installation: Kubeflow, run_id: str, step: str, name: str) -> str:
    """An output parameter of a step."""
    if not installation.metadata:
        [task] = [one for one in _tasks(installation, run_id) if one["name"] == step]
        values = {one["parameter_key"]: one["value"] for one in task["outputs"]["parameters"]}
        return str(values[name])
    [found] = [one for one in _executions(installation, run_id) if _task(one) == step]
    fields = found.custom_properties["outputs"].struct_value.fields
    return str(fields[name].string_value)


def _tasks(installation: Kubeflow, run_id: str) -> list[Json]:
    """The tasks of a run's steps."""
    url = f"{installation.endpoint}/apis/v2beta1/runs/{run_id}?view=FULL"
    with urlopen(url, timeout=30) as answer:
        tasks = json.load(answer)["tasks"]
    return [one for one in tasks if one["type"] == "RUNTIME"]


def _executions(installation: Kubeflow, run_id: str) -> list[Any]:
    host, _, port = installation.metadata.partition(":")
    store = MetadataStore(MetadataStoreClientConfig(host=host, port=int(port)))
    context = store.get_context_by_type_and_name("system.PipelineRun", run_id)
    return list(store.get_executions_by_context(context.id))


def _task(execution: Any) -> str:
    return str(execution.custom_properties["task_name"].string_value)


def _names(node: Json) -> list[str]:
    """The names of a node and of those around it, outermost first, without attempts' numbers."""
    return [one.partition("(")[0] for one in node["name"].split(".")]


def _is_executor(node: Json) -> bool:
    return _names(node)[-1] == "executor"


def _attempt(installation: Kubeflow, name: str, node: Json) -> Attempt:
    pod = f"{name}-{node['templateName']}-{node['id'].rpartition('-')[2]}"
    log = installation.cluster.kubectl("logs", "--namespace=kubeflow", "--container=main", pod)
    phase, message, began = (node.get(key) or "" for key in ("phase", "message", "startedAt"))
    return Attempt(pod, phase, message, began, log.stdout)
