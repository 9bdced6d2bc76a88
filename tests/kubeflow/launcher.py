"""An imitation of Kubeflow's driver and launcher, written from the backend's behaviour.

It is independent of Skymill: it honours the parts of a package that the open-source backend
honours. Tasks are ordered by `dependentTasks` only; artifacts come back with an empty schema, every
number as a double, lists and structs wrapped, and internal keys added; stores hold files but no
folders; every task has a mount of its own, which is removed afterwards.
"""

import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from tests import warm
from tests.kubeflow.argo import is_tried_again, retry_strategy

Json = dict[str, Any]

SUCCEEDED, CACHED, FAILED, SKIPPED = "SUCCEEDED", "CACHED", "FAILED", "SKIPPED"
_SCHEMES = {"minio://": "minio", "s3://": "s3", "gs://": "gcs"}


class Refused(Exception):
    """The backend would refuse this."""


@dataclass
class Task:
    """The outcome of one task of a run."""

    state: str
    log: str = ""
    attempts: int = 0
    inputs: Json = field(default_factory=dict)
    parameters: Json = field(default_factory=dict)
    artifacts: dict[str, Json] = field(default_factory=dict)


Run = dict[str, Task]
Hook = Callable[[str, Json], None]


class Backend:
    """A cluster: an object store, a metadata store and a cache, all below one folder.

    Attributes:
        store: the folder that holds the buckets.
        warm: modules run in processes that have the libraries imported, not in fresh ones.
    """

    def __init__(self, folder: Path, root: str, mount_variable: str) -> None:
        self.store, self.warm = folder / "store", False
        self._folder, self._root, self._variable = folder, root, mount_variable
        self._cache: dict[str, Task] = {}
        self._count = 0

    def run(
        self, package: str, parameters: Mapping[str, Any] | None = None, hook: Hook | None = None
    ) -> Run:
        """Runs a package; `hook` sees each task's executor input and may change it."""
        spec, platform = _parse(package)
        values = _root_parameters(spec, parameters or {})
        self._count += 1
        run_id = f"run-{self._count}"
        done: Run = {}
        tasks = spec["root"]["dag"]["tasks"]
        waiting = dict(tasks)
        while waiting:
            ready = [k for k, t in waiting.items() if set(t.get("dependentTasks", [])) <= set(done)]
            if not ready:
                raise Refused(f"tasks wait for each other: {sorted(waiting)}")
            for name in sorted(ready):
                task = waiting.pop(name)
                if task["taskInfo"]["name"] != name:
                    raise Refused(f"{name}: taskInfo.name is {task['taskInfo']['name']}")
                upstream = [done[other].state for other in task.get("dependentTasks", [])]
                if any(state in (FAILED, SKIPPED) for state in upstream):
                    done[name] = Task(SKIPPED)
                    continue
                done[name] = self._task(spec, platform, name, values, run_id, done, hook)
        return done

    def read(self, uri: str) -> bytes:
        """A file in the store."""
        return self._stored(uri).read_bytes()

    def files(self, uri: str) -> list[str]:
        """The keys of an artifact's files below its URI."""
        base = self._stored(uri)
        return sorted(str(path.relative_to(base)) for path in base.rglob("*") if path.is_file())

    def remove(self, uri: str) -> None:
        """Takes an artifact's bytes out of the store."""
        shutil.rmtree(self._stored(uri), ignore_errors=True)

    def _stored(self, uri: str) -> Path:
        return self.store / uri.partition("://")[2]

    def _task(
        self,
        spec: Json,
        platform: Json,
        name: str,
        values: Json,
        run_id: str,
        done: Run,
        hook: Hook | None,
    ) -> Task:
        task = spec["root"]["dag"]["tasks"][name]
        label = spec["components"][task["componentRef"]["name"]]["executorLabel"]
        container = spec["deploymentSpec"]["executors"][label]["container"]
        component = _component(spec, container)
        for claim in platform.get(label, {}).get("pvcMount", []):
            if not Path(claim["mountPath"]).is_dir():
                raise Refused(f"{name}: nothing is mounted at {claim['mountPath']}")
        try:
            given = self._executor_input(spec, name, task, component, values, run_id, done)
        except Refused as error:
            return Task(FAILED, log=str(error))
        key = _cache_key(container, given, component)
        if task.get("cachingOptions", {}).get("enableCache") and key in self._cache:
            known = self._cache[key]
            return Task(
                CACHED, inputs=given, parameters=known.parameters, artifacts=known.artifacts
            )
        if hook:
            hook(name, given)
        policy = task.get("retryPolicy")
        strategy = retry_strategy(policy) if policy else None
        began = time.monotonic()
        for attempt in itertools.count(1):
            result = self._launch(container, given, component, f"{run_id}-{name}-{attempt}")
            result.attempts = attempt
            elapsed_s = time.monotonic() - began
            again = strategy is not None and is_tried_again(strategy, attempt, elapsed_s)
            if result.state == SUCCEEDED or not again:
                break
        if result.state == SUCCEEDED:
            self._cache[key] = result
        return result

    def _executor_input(
        self,
        spec: Json,
        name: str,
        task: Json,
        component: Json,
        values: Json,
        run_id: str,
        done: Run,
    ) -> Json:
        given = task.get("inputs", {})
        wanted = component.get("inputDefinitions", {})
        parameters = {
            key: _converted(key, _parameter(one, values, run_id, done), wanted["parameters"][key])
            for key, one in given.get("parameters", {}).items()
        }
        for key, one in wanted.get("parameters", {}).items():
            if key not in parameters and not one.get("isOptional") and "defaultValue" not in one:
                raise Refused(f"neither value nor default value provided for parameter {key!r}")
        artifacts = {}
        for key, one in given.get("artifacts", {}).items():
            edge = one["taskOutputArtifact"]
            if edge["producerTask"] not in done:
                raise Refused(f"cannot find producer task {edge['producerTask']!r}")
            found = done[edge["producerTask"]].artifacts.get(edge["outputArtifactKey"])
            if found is None:
                raise Refused(f"cannot find output artifact key {edge['outputArtifactKey']!r}")
            artifacts[key] = {"artifacts": [json.loads(json.dumps(found))]}
        base = f"{self._root}/{spec['pipelineInfo']['name']}/{run_id}/{name}"
        defined = component.get("outputDefinitions", {})
        outputs: Json = {
            "artifacts": {
                key: {
                    "artifacts": [
                        {
                            "name": "",
                            "type": one["artifactType"],
                            "uri": f"{base}/{key}",
                            "metadata": {},
                        }
                    ]
                }
                for key, one in defined.get("artifacts", {}).items()
            },
            "parameters": {
                key: {"outputFile": f"/tmp/kfp/outputs/{key}"}
                for key in defined.get("parameters", {})
            },
        }
        return {
            "inputs": {"parameterValues": parameters, "artifacts": artifacts},
            "outputs": outputs,
        }

    def _launch(self, container: Json, given: Json, component: Json, pod: str) -> Task:
        scratch = self._folder / "pods" / pod
        mount, work = scratch / "mount", scratch / "work"
        work.mkdir(parents=True)
        given["outputs"]["outputFile"] = str(scratch / "kfp_outputs" / "output_metadata.json")
        for found in given["inputs"]["artifacts"].values():
            for one in found["artifacts"]:
                self._copy(self._stored(one["uri"]), mount / _key(one["uri"]))
        for found in given["outputs"]["artifacts"].values():
            (mount / _key(found["artifacts"][0]["uri"])).parent.mkdir(parents=True, exist_ok=True)
        text = json_format.MessageToJson(
            json_format.ParseDict(given, pipeline_spec_pb2.ExecutorInput()), indent=None
        )
        words = [_filled(it, given, text) for it in [*container["command"], *container["args"]]]
        too_long = [word[:40] for word in words if len(word.encode()) > 128 << 10]
        if too_long:
            return Task(FAILED, log=f"argument list too long: {too_long}", inputs=given)
        env = {
            **os.environ,
            "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            self._variable: str(mount),
            **{one["name"]: one["value"] for one in container.get("env", [])},
        }
        ended = self._execute(words, work, env)
        task = Task(SUCCEEDED if ended.returncode == 0 else FAILED, ended.stdout, given)
        if task.state == SUCCEEDED:
            try:
                self._publish(task, given, component, mount)
            except (Refused, json_format.ParseError) as error:
                task.state, task.log = FAILED, f"{task.log}\nlauncher: {error}"
        shutil.rmtree(scratch)
        return task

    def _execute(
        self, words: Sequence[str], cwd: Path, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        if self.warm and words[:2] == ["python", "-m"]:
            return warm.run(words[2], words[3:], together=True, cwd=cwd, env=env)
        return subprocess.run(
            words,
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def _publish(self, task: Task, given: Json, component: Json, mount: Path) -> None:
        path = Path(given["outputs"]["outputFile"])
        output = json.loads(path.read_text()) if path.exists() else {}
        json_format.ParseDict(output, pipeline_spec_pb2.ExecutorOutput())
        task.parameters = output.get("parameterValues", {})
        for key in component.get("outputDefinitions", {}).get("parameters", {}):
            if key not in task.parameters:
                raise Refused(f"the container left no output parameter {key!r}")
        for key, found in given["outputs"]["artifacts"].items():
            one = found["artifacts"][0]
            [outcome] = output.get("artifacts", {}).get(key, {}).get("artifacts", [{}])
            uri = outcome.get("uri") or one["uri"]
            if not uri.startswith(tuple(_SCHEMES)):
                raise Refused(f"{key}: {uri} is not a place in a store")
            if one["type"].get("schemaTitle") == "system.Metrics":
                _check_metrics(outcome.get("metadata", {}))
            self._copy(mount / _key(uri), self._stored(uri))
            task.artifacts[key] = {
                "name": hashlib.sha256(uri.encode()).hexdigest()[:8],
                "type": {"instanceSchema": ""},
                "uri": uri,
                "metadata": {
                    **{
                        name: _stored_value(name, it)
                        for name, it in outcome.get("metadata", {}).items()
                    },
                    "display_name": key,
                    "store_session_info": '{"Provider":"minio"}',
                },
            }

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        """Copies only files: a store has no folders, so an empty one disappears."""
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        for path in source.rglob("*"):
            if path.is_file():
                place = target / path.relative_to(source)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)


def _parse(package: str) -> tuple[Json, Json]:
    spec, *rest = yaml.safe_load_all(package)
    if "pipelineSpec" in spec:
        raise Refused("unknown field pipelineSpec: a bare PipelineSpec is wanted")
    message = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    if message.schema_version != "2.1.0":
        raise Refused("KFP only supports schema version 2.1.0")
    json_format.ParseDict(spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig())
    for label, executor in spec["deploymentSpec"]["executors"].items():
        if not {"container", "importer"} & set(executor):
            raise Refused(f"{label}: non-container and non-importer executor not implemented")
    executors: Json = {}
    if rest:
        executors = rest[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for executor in executors.values():
        json_format.ParseDict(executor, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
    return spec, executors


def _root_parameters(spec: Json, given: Mapping[str, Any]) -> Json:
    values: Json = {}
    for name, known in spec["root"].get("inputDefinitions", {}).get("parameters", {}).items():
        if name not in given and "defaultValue" not in known:
            raise Refused(f"neither default value nor user provided value for {name!r}")
        values[name] = given.get(name, known.get("defaultValue"))
    if unknown := set(given) - set(values):
        raise Refused(f"parameters that the pipeline does not have: {sorted(unknown)}")
    return values


def _parameter(one: Json, values: Json, run_id: str, done: Run) -> Any:
    if "runtimeValue" in one:
        constant = one["runtimeValue"]["constant"]
        return run_id if constant == "{{$.pipeline_job_uuid}}" else constant
    if "componentInputParameter" in one:
        return values[one["componentInputParameter"]]
    edge = one["taskOutputParameter"]
    if edge["producerTask"] not in done:
        raise Refused(f"producer task, {edge['producerTask']}, not in tasks")
    return done[edge["producerTask"]].parameters[edge["outputParameterKey"]]


def _converted(name: str, value: Any, spec: Json) -> Any:
    """Converts numbers to doubles, and any value of a string parameter to a string."""
    kind = spec["parameterType"]
    if kind == "STRING":
        return value if isinstance(value, str) else json.dumps(value)
    if kind in ("NUMBER_INTEGER", "NUMBER_DOUBLE"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(f"input parameter {name!r} type mismatch: expect {kind}, got {value!r}")
        return float(value)
    return value


def _stored_value(name: str, value: Any) -> Any:
    """A custom property as the metadata store gives it back."""
    if value is None:
        raise Refused(f"metadata {name!r}: unexpected null value")
    if isinstance(value, list):
        return {"list": value}
    if isinstance(value, dict):
        return {"struct": value}
    return value if isinstance(value, str | bool) else float(value)


def _check_metrics(metadata: Json) -> None:
    """The rule of the launcher without ML Metadata, which stores each metric as a number."""
    for name, value in metadata.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(f"metric value {name!r} must be a number, got {type(value).__name__}")


def _key(uri: str) -> str:
    for scheme, folder in _SCHEMES.items():
        if uri.startswith(scheme):
            return f"{folder}/{uri.removeprefix(scheme)}"
    raise Refused(f"{uri} is not a place in a store")


def _filled(word: str, given: Json, text: str) -> str:
    if word == "{{$}}":
        return text
    values = given["inputs"]["parameterValues"]
    return re.sub(
        r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}", lambda it: str(values[it[1]]), word
    )


def _component(spec: Json, container: Json) -> Json:
    """The component that the backend keeps for a container: that of the first task, by name.

    It stores components by the hash of their container, so those that share one share an interface.
    """
    executors = spec["deploymentSpec"]["executors"]
    tasks = spec["root"]["dag"]["tasks"]
    components = [spec["components"][tasks[name]["componentRef"]["name"]] for name in sorted(tasks)]
    return next(
        one for one in components if executors[one["executorLabel"]]["container"] == container
    )


def _cache_key(container: Json, given: Json, component: Json) -> str:
    """Returns the backend's cache key, without the content of a bucket or of an image's tag."""
    outputs = component.get("outputDefinitions", {})
    parts = {
        "image": container["image"],
        "command": [*container["command"], *container["args"]],
        "parameters": given["inputs"]["parameterValues"],
        "artifacts": {
            name: [one["name"] for one in found["artifacts"]]
            for name, found in given["inputs"]["artifacts"].items()
        },
        "outputs": {kind: sorted(outputs.get(kind, {})) for kind in ("artifacts", "parameters")},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
