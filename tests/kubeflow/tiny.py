"""A pipeline of two steps, small enough to read, for tests of the parts around a run."""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.client.submission import Submission
from pipelines.kubeflow.contract.signature import NodeSignature

_STEP = """
import json, os, sys
given = json.loads(sys.argv[1])
path = given["outputs"]["outputFile"]
os.makedirs(os.path.dirname(path), exist_ok=True)
json.dump({}, open(path, "w"))
"""


def tiny_spec(*steps: str, gates: Sequence[str] = (), image: str = "a:1") -> dict[str, Any]:
    """Returns a specification of unordered steps, or of two in sequence, with a parameter `count`.

    The steps in `gates` have a gate's arguments. Only the two can be run. Each has an argument of
    its own, since the backend treats steps with equal containers as one component.
    """
    steps = steps or ("first", "second")
    command = ["python", "-c", _STEP]
    tasks: dict[str, Any] = {
        name: {"taskInfo": {"name": name}, "componentRef": {"name": f"comp-{name}"}}
        for name in steps
    }
    if "second" in tasks:
        tasks["second"]["dependentTasks"] = ["first"]
    tasks[steps[0]]["inputs"] = {"parameters": {"count": {"componentInputParameter": "count"}}}
    components: dict[str, Any] = {
        f"comp-{name}": {"executorLabel": f"exec-{name}"} for name in steps
    }
    count = {"parameters": {"count": {"parameterType": "NUMBER_INTEGER"}}}
    components[f"comp-{steps[0]}"]["inputDefinitions"] = count
    containers: dict[str, Any] = {
        name: {"image": image, "command": command, "args": ["{{$}}", name]} for name in steps
    }
    signature = NodeSignature("components.gate.executor.Executor").to_json()
    for name in gates:
        containers[name]["args"] = ["--signature", signature, "--executor-input", "{{$}}"]
    return {
        "pipelineInfo": {"name": "tiny"},
        "schemaVersion": "2.1.0",
        "components": components,
        "deploymentSpec": {
            "executors": {f"exec-{name}": {"container": one} for name, one in containers.items()}
        },
        "root": {
            "dag": {"tasks": tasks},
            "inputDefinitions": {
                "parameters": {
                    "count": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3},
                    "data_fingerprint": {"parameterType": "STRING", "defaultValue": ""},
                }
            },
        },
    }


def submission(spec: dict[str, Any] | None = None) -> Submission:
    """The pipeline as it is submitted, without the check that comes before."""
    tree = json.loads(json.dumps(spec or tiny_spec()))
    return Submission(yaml.safe_dump(tree), tree)


def recurring(server: KubeflowServer, **changes: Any) -> Any:
    """Makes a recurring run that never starts one, apart from what changes."""
    body = {
        "display_name": "never",
        "experiment_id": server.catalogue.experiment("tiny"),
        "pipeline_version_reference": server.catalogue.version(submission()),
        "trigger": {"cron_schedule": {"cron": "0 0 0 1 1 *"}},
        "mode": "DISABLE",
        "max_concurrency": "1",
        **changes,
    }
    create = server.api.client.recurring_runs.recurring_run_service_create_recurring_run
    return server.api.call("make a schedule", create, recurring_run=body)
