"""Messages of the API without ML Metadata, and the tasks that its server returns.

Field names, numbers and types are those of `backend/api/v2beta1/run.proto` and `artifact.proto` in
kubeflow/pipelines#13986; Kubeflow's Python client of that release does not exist yet.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    json_format,
    message_factory,
    struct_pb2,
    timestamp_pb2,
)

from tests.kubeflow.api_server.engine import KILLED, ROOT, UNPREPARED, executor_pod

Json = dict[str, Any]

_PACKAGE = "kubeflow.pipelines.native"
_ENUMS = {
    "PipelineTask.TaskPodType": ("UNSPECIFIED", "DRIVER", "EXECUTOR"),
    "PipelineTask.TaskState": (
        "RUNTIME_STATE_UNSPECIFIED",
        *("RUNNING", "SUCCEEDED", "SKIPPED", "FAILED", "CACHED"),
    ),
    "PipelineTask.TaskType": (
        "TASK_TYPE_UNSPECIFIED",
        *("ROOT", "RUNTIME", "CONDITION_BRANCH", "CONDITION", "LOOP", "EXIT_HANDLER"),
        *("IMPORTER", "DAG"),
    ),
    "Artifact.ArtifactType": (
        "TYPE_UNSPECIFIED",
        *("Artifact", "Model", "Dataset", "HTML", "Markdown", "Metric"),
        *("ClassificationMetric", "SlicedClassificationMetric"),
    ),
}
#: By message: number, name and type of each field; `*` is repeated, `?` optional.
_MESSAGES = {
    "Artifact": (
        "1 artifact_id string",
        "2 name string",
        "4 type Artifact.ArtifactType",
        "5 uri string?",
        "7 number_value double?",
    ),
    "IOArtifact": ("1 artifacts Artifact*", "3 artifact_key string"),
    "InputOutputs": ("2 artifacts IOArtifact*",),
    "TaskPod": ("1 name string", "2 uid string", "3 type PipelineTask.TaskPodType"),
    "StatusMetadata": ("1 message string",),
    "PipelineTask": (
        "1 name string",
        "2 display_name string",
        "3 task_id string",
        "4 run_id string",
        "5 pods TaskPod*",
        "7 create_time google.protobuf.Timestamp",
        "9 state PipelineTask.TaskState",
        "10 status_metadata StatusMetadata",
        "12 type PipelineTask.TaskType",
        "14 parent_task_id string?",
        "17 outputs InputOutputs",
    ),
}


def task_message(tree: Json) -> Json:
    """A `PipelineTask` as the gateway writes it: names of the proto, empty fields left out."""
    message = json_format.ParseDict(tree, _TASK())
    found: Json = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return found


def tasks_of(run: Json, steps: Mapping[str, str], metrics: Mapping[str, float]) -> list[Json]:
    """The tasks of a run: its root, and a task for each step that has begun.

    The launcher reports its pod and its message, which never names the reason, when the step has
    ended. The end of a step that was killed is not reported. The metrics are outputs of the last
    step, each an artifact.

    Args:
        run: the run.
        steps: the state of each step. A step that was SKIPPED, as an earlier one failed, has no
            task, nor has one whose driver failed; KILLED is one whose launcher was killed with its
            pod. If the pipeline's driver failed there are no tasks at all.
        metrics: of the last step.
    """
    if ROOT in steps:
        return []
    root = str(uuid.uuid4())
    state = run["state"] if run["state"] in _ENUMS["PipelineTask.TaskState"] else "RUNNING"
    tasks = [_task(run, "ROOT", run["display_name"], "ROOT", state, task_id=root)]
    for number, (name, now) in enumerate(steps.items()):
        if now in ("SKIPPED", UNPREPARED):
            continue
        outputs = _outputs(metrics) if number == len(steps) - 1 else {}
        pods = [{"name": f"tiny-x7k2p-driver-{number}", "type": "DRIVER"}]
        if now in ("SUCCEEDED", "FAILED"):
            pods.append({"name": executor_pod(number), "type": "EXECUTOR"})
        failed = {"message": "failed to execute component: exit status 1"}
        tasks.append(
            _task(
                run,
                name,
                name,
                "RUNTIME",
                "RUNNING" if now == KILLED else now,
                parent_task_id=root,
                pods=pods,
                outputs=outputs,
                **({"status_metadata": failed} if now == "FAILED" else {}),
            )
        )
    return tasks


def _outputs(metrics: Mapping[str, float]) -> Json:
    artifacts = [
        {"artifact_id": str(uuid.uuid4()), "name": name, "type": "Metric", "number_value": value}
        for name, value in metrics.items()
    ]
    report = {"artifact_id": "r", "name": "report", "type": "HTML", "uri": "s3://bucket/report"}
    return {
        "artifacts": [
            {"artifact_key": "metrics", "artifacts": artifacts},
            {"artifact_key": "report_html", "artifacts": [report]},
        ]
    }


def _task(run: Json, name: str, display_name: str, kind: str, state: str, **given: Any) -> Json:
    tree = {"task_id": str(uuid.uuid4()), **given}
    tree |= {"name": name, "display_name": display_name, "run_id": run["run_id"]}
    return task_message({**tree, "type": kind, "state": state, "create_time": run["created_at"]})


def _task_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="native.proto", package=_PACKAGE)
    file.syntax = "proto3"
    file.dependency.append("google/protobuf/timestamp.proto")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in fields:
            _add_field(message, text)
        for enum_name, values in _ENUMS.items():
            owner, _, simple = enum_name.partition(".")
            if owner == name:
                enum = message.enum_type.add(name=simple)
                for number, value in enumerate(values):
                    enum.value.add(name=value, number=number)
    pool = descriptor_pool.DescriptorPool()
    for known in (struct_pb2, timestamp_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.PipelineTask"))


def _add_field(message: Any, text: str) -> None:
    number, name, kind = text.split()
    field = message.field.add(name=name, number=int(number))
    field.label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
    if kind.endswith("?"):
        field.proto3_optional = True
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{name}")
    kind = kind.rstrip("*?")
    scalars = {"string": field.TYPE_STRING, "double": field.TYPE_DOUBLE}
    if kind in scalars:
        field.type = scalars[kind]
        return
    field.type = field.TYPE_ENUM if kind in _ENUMS else field.TYPE_MESSAGE
    field.type_name = f".{kind}" if kind.startswith("google.") else f".{_PACKAGE}.{kind}"


_TASK = _task_class()
