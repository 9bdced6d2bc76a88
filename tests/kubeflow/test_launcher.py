"""The imitation itself: what the backend refuses, ignores and changes, shown by one-line steps."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from tests.kubeflow.launcher import CACHED, FAILED, SKIPPED, SUCCEEDED, Backend, Refused

MAKE = """
import json, os, sys
given = json.loads(sys.argv[1])
[made] = given["outputs"]["artifacts"]["made"]["artifacts"]
path = os.path.join(os.environ["MOUNTS"], made["uri"].replace("s3://", "s3/"))
os.makedirs(path + "/empty")
open(path + "/file", "w").write("text")
metadata = {"count": given["inputs"]["parameterValues"]["count"], "names": ["a"], "facts": {"b": 1}}
metadata |= json.loads(os.environ.get("MORE", "{}"))
output = {"artifacts": {"made": {"artifacts": [{"uri": made["uri"], "metadata": metadata}]}}}
os.makedirs(os.path.dirname(given["outputs"]["outputFile"]), exist_ok=True)
json.dump(output, open(given["outputs"]["outputFile"], "w"))
"""
USE = """
import json, os, sys
given = json.loads(sys.argv[1])
[made] = given["inputs"]["artifacts"]["made"]["artifacts"]
path = os.path.join(os.environ["MOUNTS"], made["uri"].replace("s3://", "s3/"))
print(sorted(os.listdir(path)), json.dumps(made["metadata"], sort_keys=True), made["type"])
"""


def container(program: str) -> dict:
    words = {"command": ["python", "-c", program], "args": ["{{$}}"]}
    return {"container": {"image": "a:1", **words}}


@pytest.fixture
def spec() -> dict:
    artifact = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}
    count = {"parameters": {"count": {"parameterType": "NUMBER_INTEGER"}}}
    edge = {"taskOutputArtifact": {"producerTask": "make", "outputArtifactKey": "made"}}
    return {
        "pipelineInfo": {"name": "tiny"},
        "schemaVersion": "2.1.0",
        "components": {
            "comp-make": {
                "executorLabel": "exec-make",
                "inputDefinitions": count,
                "outputDefinitions": {"artifacts": {"made": artifact}},
            },
            "comp-use": {
                "executorLabel": "exec-use",
                "inputDefinitions": {"artifacts": {"made": artifact}},
            },
        },
        "deploymentSpec": {"executors": {"exec-make": container(MAKE), "exec-use": container(USE)}},
        "root": {
            "inputDefinitions": {
                "parameters": {"count": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3}}
            },
            "dag": {
                "tasks": {
                    "make": {
                        "taskInfo": {"name": "make"},
                        "componentRef": {"name": "comp-make"},
                        "inputs": {"parameters": {"count": {"componentInputParameter": "count"}}},
                        "cachingOptions": {"enableCache": True},
                    },
                    "use": {
                        "taskInfo": {"name": "use"},
                        "componentRef": {"name": "comp-use"},
                        "inputs": {"artifacts": {"made": edge}},
                        "dependentTasks": ["make"],
                    },
                }
            },
        },
    }


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return Backend(tmp_path, "s3://bucket/root", "MOUNTS")


def run(backend: Backend, spec: dict, **parameters: object) -> dict:
    return backend.run(yaml.safe_dump(spec), parameters)


def test_what_comes_back_is_not_what_went_in(backend: Backend, spec: dict) -> None:
    done = run(backend, spec)
    assert {task.state for task in done.values()} == {SUCCEEDED}, done["use"].log
    listing, _, rest = done["use"].log.partition("] ")
    assert listing == "['file'", "a folder that is empty is not stored"
    metadata = json.loads(rest.partition("} {")[0] + "}")
    assert metadata["count"] == 3.0
    assert isinstance(metadata["count"], float)
    assert metadata["names"] == {"list": ["a"]}
    assert metadata["facts"] == {"struct": {"b": 1}}
    assert {"display_name", "store_session_info"} <= metadata.keys()
    assert done["use"].log.strip().endswith("{'instanceSchema': ''}")


def test_steps_of_one_container_have_one_interface(backend: Backend, spec: dict) -> None:
    """Seen on 2.17.0, where the second of them asks for the parameter of the first."""
    spec["deploymentSpec"]["executors"]["exec-use"] = container(MAKE)
    done = run(backend, spec)
    assert done["make"].state == SUCCEEDED, done["make"].log
    assert done["use"].state == FAILED
    assert "neither value nor default value provided for parameter 'count'" in done["use"].log


def test_a_null_in_metadata_fails_the_task(backend: Backend, spec: dict) -> None:
    make = spec["deploymentSpec"]["executors"]["exec-make"]["container"]
    make["env"] = [{"name": "MORE", "value": '{"nothing": null}'}]
    done = run(backend, spec)
    assert (done["make"].state, done["use"].state) == (FAILED, SKIPPED)
    assert "null" in done["make"].log


def test_the_cache_knows_parameters_and_arguments(backend: Backend, spec: dict) -> None:
    assert run(backend, spec)["make"].state == SUCCEEDED
    assert run(backend, spec)["make"].state == CACHED
    assert run(backend, spec)["use"].state == SUCCEEDED, "nobody has switched its cache on"
    assert run(backend, spec, count=4)["make"].state == SUCCEEDED


def test_only_dependent_tasks_order_a_run(backend: Backend, spec: dict) -> None:
    tasks = spec["root"]["dag"]["tasks"]
    tasks["a"] = tasks.pop("use")
    tasks["a"]["taskInfo"]["name"] = "a"
    del tasks["a"]["dependentTasks"]
    done = run(backend, spec)
    assert done["a"].state == FAILED
    assert "cannot find producer task 'make'" in done["a"].log


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (("schemaVersion",), "2.0.0", "only supports schema version"),
        (("pipelineSpec",), {}, "bare PipelineSpec"),
        (("deploymentSpec", "executors", "exec-use"), {"resolver": {}}, "not implemented"),
        (("root", "inputDefinitions", "parameters", "count", "defaultValue"), None, "neither"),
        (("root", "dag", "tasks", "make", "dependentTasks"), ["use"], "wait for each other"),
        (("root", "dag", "tasks", "make", "taskInfo", "name"), "Make", "taskInfo.name"),
    ],
)
def test_what_is_refused(
    backend: Backend, spec: dict, place: tuple[str, ...], value: object, reason: str
) -> None:
    wrong = copy.deepcopy(spec)
    *path, last = place
    tree = wrong
    for name in path:
        tree = tree[name]
    if value is None:
        del tree[last]
    else:
        tree[last] = value
    with pytest.raises(Refused, match=reason):
        run(backend, wrong)
