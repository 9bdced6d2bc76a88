"""A pipeline of two steps, small enough to be read, for tests of what surrounds a run."""

import json
from typing import Any

import yaml

from pipelines.kubeflow.client.submission import Submission

_STEP = """
import json, os, sys
given = json.loads(sys.argv[1])
path = given["outputs"]["outputFile"]
os.makedirs(os.path.dirname(path), exist_ok=True)
json.dump({}, open(path, "w"))
"""


def tiny_spec() -> dict[str, Any]:
    """Two steps, one after the other; `count` and `data_fingerprint` may be chosen."""
    steps = ("first", "second")
    words = {"command": ["python", "-c", _STEP], "args": ["{{$}}"]}
    tasks: dict[str, Any] = {
        name: {"taskInfo": {"name": name}, "componentRef": {"name": f"comp-{name}"}}
        for name in steps
    }
    tasks["second"]["dependentTasks"] = ["first"]
    count = {"count": {"componentInputParameter": "count"}}
    tasks["first"]["inputs"] = {"parameters": count}
    return {
        "pipelineInfo": {"name": "tiny"},
        "schemaVersion": "2.1.0",
        "components": {
            "comp-first": {
                "executorLabel": "exec-first",
                "inputDefinitions": {"parameters": {"count": {"parameterType": "NUMBER_INTEGER"}}},
            },
            "comp-second": {"executorLabel": "exec-second"},
        },
        "deploymentSpec": {
            "executors": {
                f"exec-{name}": {"container": {"image": "a:1", **words}} for name in steps
            }
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
