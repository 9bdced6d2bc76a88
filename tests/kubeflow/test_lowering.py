"""Refusals of the lowering, and the names that it makes."""

import pytest

from components.raster.errors import ConfigError
from pipelines.config.kubeflow import Retries
from pipelines.kubeflow.compile.containers import (
    StepFolders,
    beam_args,
    executor_class,
    node_container,
)
from pipelines.kubeflow.compile.images import is_fixed
from pipelines.kubeflow.compile.lowering import lower_task, unwrap
from pipelines.kubeflow.contract.names import component_name, executor_label, kebab
from pipelines.kubeflow.contract.signature import InputType, NodeSignature


def job(version: str = "2.1.0", **executor: dict) -> dict:
    return {
        "displayName": "roofs",
        "pipelineSpec": {
            "schemaVersion": version,
            "deploymentSpec": {"executors": {"A_executor": executor}},
        },
    }


def test_only_containers_of_schema_2_1_0_are_lowered() -> None:
    assert unwrap(job(container={}))["schemaVersion"] == "2.1.0"
    with pytest.raises(ConfigError, match=r"not 2\.0\.0"):
        unwrap(job("2.0.0", container={}))
    with pytest.raises(ConfigError, match="A_executor: Kubeflow runs containers only"):
        unwrap(job(resolver={}))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("StopOnRejects", "stop-on-rejects"),
        ("Trainer", "trainer"),
        ("land_cover", "land-cover"),
        ("TFXNode2Go", "tfx-node2-go"),
    ],
)
def test_names_are_in_kebab_case(name: str, wanted: str) -> None:
    assert kebab(name) == wanted
    assert component_name(name) == f"comp-{wanted}"
    assert executor_label(name) == f"exec-{wanted}"


def test_a_task_waits_for_what_it_reads_and_for_what_it_was_told_to() -> None:
    edge = {"producerTask": "InfraCheck", "outputArtifactKey": "checked"}
    task = {
        "taskInfo": {"name": "Push"},
        "dependentTasks": ["StopOnAnswers"],
        "inputs": {
            "artifacts": {"model": {"taskOutputArtifact": edge}},
            "parameters": {
                "fingerprint": {"runtimeValue": {"constant": "compiled in"}},
                "endpoint": {"runtimeValue": {"constant": ""}},
                "nonce": {"componentInputParameter": "pipeline-run-id"},
            },
        },
    }
    retries = Retries(count=1, backoff_s=5, factor=2, give_up_after_s=60)
    lowered = lower_task("Push", task, cached=False, retries=retries, with_run_id=True)
    assert lowered["dependentTasks"] == [
        *("infra-check", "prepare", "stop-on-answers", "stop-on-inputs")
    ]
    parameters = lowered["inputs"]["parameters"]
    assert parameters["fingerprint"]["taskOutputParameter"]["outputParameterKey"] == "fingerprint"
    assert parameters["endpoint"] == {"runtimeValue": {"constant": ""}}
    assert parameters["nonce"] == parameters["run_id"]
    assert parameters["run_id"] == {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}
    assert lowered["retryPolicy"]["maxRetryCount"] == 1
    assert lowered["retryPolicy"]["backoffDuration"] == "5s"
    assert task["dependentTasks"] == ["StopOnAnswers"], "what went in stays as it was"


def test_a_parameter_that_only_vertex_can_give_is_refused() -> None:
    task = {"inputs": {"parameters": {"when": {"taskFinalStatus": {"producerTask": "a"}}}}}
    with pytest.raises(ConfigError, match=r"Push\.when"):
        lower_task("Push", task, cached=True, retries=None, with_run_id=False)


TFX_ARGS = [
    "--executor_class_path",
    "a.B",
    "--json_serialized_invocation_args",
    "{{$}}",
    "--json_serialized_inputs_spec_args",
    "{}",
    "--runner=FlinkRunner",
    "--parallelism",
    "4",
]


def test_beams_options_stay_behind_two_dashes() -> None:
    assert executor_class(TFX_ARGS) == "a.B"
    assert beam_args(TFX_ARGS) == ["--runner=FlinkRunner", "--parallelism", "4"]
    args = node_container(NodeSignature("a.B"), TFX_ARGS, "Ingest", StepFolders())["args"]
    assert args[2:] == ["--executor-input", "{{$}}", "--", *beam_args(TFX_ARGS)]
    folders = StepFolders("/shared", "/mnt/failures")
    args = node_container(NodeSignature("a.B"), TFX_ARGS, "Ingest", folders)["args"]
    assert args[4:8] == ["--failures", "/mnt/failures", "--exchange", "/shared"]
    assert args[8:] == ["--", *beam_args(TFX_ARGS)]
    args = node_container(NodeSignature("a.B"), TFX_ARGS[:6], "Ingest", StepFolders())["args"]
    assert "--" not in args


def test_arguments_that_no_process_takes_are_refused() -> None:
    inputs = {f"input_{number}": InputType("a" * 1000) for number in range(100)}
    with pytest.raises(ConfigError, match="too long"):
        node_container(NodeSignature("a.B", inputs), TFX_ARGS, "Ingest", StepFolders())


def test_a_registrys_port_is_no_tag() -> None:
    assert not is_fixed("registry:5000/skymill")
    assert is_fixed("registry:5000/skymill:2026-11-23")
