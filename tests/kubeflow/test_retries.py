"""Retries of steps, by the text that the backend passes to Argo."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import dsl
from kfp.pipeline_spec import pipeline_spec_pb2
from pydantic import ValidationError

from pipelines.config.kubeflow import KubeflowConfig, Retries
from pipelines.kubeflow.compile.lowering import lower_task, retries_of
from pipelines.kubeflow.contract.signature import STOP_EXECUTOR, NodeSignature
from tests.kubeflow.argo import is_tried_again, retry_strategy
from tests.kubeflow.launcher import FAILED, SUCCEEDED, Backend
from tests.kubeflow.tiny import tiny_spec

HOUR, DAY = 3600, 86400


def policy(retries: Retries | None) -> dict[str, Any]:
    task = lower_task("Trainer", {}, cached=False, retries=retries, with_run_id=False)
    return task.get("retryPolicy", {})


def strategy(**given: int) -> dict[str, Any]:
    """After the round trip through the backend's own message, where a factor is a double."""
    message = pipeline_spec_pb2.PipelineTaskSpec.RetryPolicy()
    json_format.ParseDict(policy(Retries(**given)), message)
    return retry_strategy(json_format.MessageToDict(message))


def test_the_text_is_the_one_that_argo_reads() -> None:
    assert strategy(count=4, backoff_s=60, factor=3, give_up_after_s=DAY) == {
        "limit": "4",
        "backoff": {"duration": "60", "factor": "3", "maxDuration": "86400"},
    }


def test_a_training_of_days_goes_on_after_each_preemption() -> None:
    default = strategy()
    assert is_tried_again(default, 1, 5)
    assert is_tried_again(default, 1, 3 * DAY)
    assert is_tried_again(default, 2, 6 * DAY)
    assert not is_tried_again(default, 3, 6 * DAY), "two retries"
    assert not is_tried_again(default, 1, 8 * DAY)


def test_the_time_is_since_the_first_attempt() -> None:
    hour = strategy(give_up_after_s=HOUR)
    assert is_tried_again(hour, 1, HOUR - 31)
    assert not is_tried_again(hour, 1, HOUR - 29), "the pause of 30 s would end too late"
    assert not is_tried_again(hour, 2, HOUR - 59), "the second one is of 60 s"


def test_the_imitation_retries_nothing_where_the_backend_does_not() -> None:
    """Of a policy without an end, and of one whose factor is not a whole number."""
    sound = policy(Retries())
    assert is_tried_again(retry_strategy(sound), 1, 5)
    assert not is_tried_again(retry_strategy({**sound, "backoffFactor": 1.5}), 1, 5)
    endless = {name: value for name, value in sound.items() if name != "backoffMaxDuration"}
    assert not is_tried_again(retry_strategy(endless), 1, 5)


def test_kubeflows_own_compiler_writes_the_same_policy() -> None:
    @dsl.container_component
    def step() -> dsl.ContainerSpec:
        return dsl.ContainerSpec(image="a:1", command=["true"])

    @dsl.pipeline(name="tiny")
    def pipeline() -> None:
        step().set_retry(2, "30s", 2.0, "1800s")

    compiled = pipeline.pipeline_spec.root.dag.tasks["step"].retry_policy
    wanted = json_format.MessageToDict(compiled)
    assert policy(Retries(count=2, backoff_s=30, factor=2, give_up_after_s=1800)) == wanted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"factor": 1.5}, "1.5 is not a whole number.*without a retry"),
        ({"factor": 0}, "greater than or equal to 1"),
        ({"max_backoff_s": 600}, "max_backoff_s was removed.*give_up_after_s"),
        ({"give_up_after_s": 90}, "the pauses of 2 retries take 90 s"),
        ({"count": 3, "backoff_s": 10, "factor": 3, "give_up_after_s": 130}, "take 130 s"),
        ({"give_up_after_s": 1 << 31}, "less than or equal to 2147483647"),
    ],
)
def test_what_would_never_be_a_retry_is_refused(given: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        KubeflowConfig.model_validate({"nodes": {"Trainer": {"retries": given}}})


def test_whole_numbers_may_be_written_with_a_point() -> None:
    assert policy(Retries.model_validate({"factor": 2.0}))["backoffFactor"] == 2
    assert policy(Retries.model_validate({"count": 0, "give_up_after_s": 1})) == {}


def test_a_gate_is_never_tried_again() -> None:
    assert retries_of(NodeSignature(STOP_EXECUTOR), Retries(count=5)) is None
    assert retries_of(NodeSignature("trainer.executor.Executor"), Retries(count=5)) is not None


TRAIN = """
import os, pathlib, signal
checkpoint = pathlib.Path(os.environ["CHECKPOINT"])
step = int(checkpoint.read_text()) if checkpoint.exists() else 0
checkpoint.write_text(str(step + 5))
if not step:
    os.kill(os.getpid(), signal.SIGTERM)
print("went on from", step)
"""


def test_a_preempted_step_goes_on_and_a_gate_has_one_attempt(tmp_path: Path) -> None:
    spec = tiny_spec("train", "check", gates=["check"])
    tasks, executors = spec["root"]["dag"]["tasks"], spec["deploymentSpec"]["executors"]
    tasks["train"]["retryPolicy"] = policy(Retries())
    executors["exec-train"]["container"] |= {
        "command": ["python", "-c", TRAIN],
        "args": [],
        "env": [{"name": "CHECKPOINT", "value": str(tmp_path / "checkpoint")}],
    }
    executors["exec-check"]["container"]["command"] = ["python", "-c", "raise SystemExit(1)"]
    done = Backend(tmp_path, "s3://bucket/root", "MOUNTS").run(yaml.safe_dump(spec))
    assert (done["train"].state, done["train"].attempts) == (SUCCEEDED, 2)
    assert done["train"].log == "went on from 5\n"
    assert (done["check"].state, done["check"].attempts) == (FAILED, 1)
