"""Inputs that a step gets from the launcher, and outputs that it returns."""

import json
from pathlib import Path

import pytest
from tfx.types.standard_artifacts import Examples

from components.gate.artifact import Baseline
from components.raster.errors import DataError, SkymillError
from pipelines.kubeflow.contract.signature import InputType, NodeSignature
from pipelines.kubeflow.contract.uris import ArtifactPaths, local_path
from pipelines.kubeflow.contract.views import OutputView
from pipelines.kubeflow.step.artifacts import restore_artifact
from pipelines.kubeflow.step.entrypoint import run_step, write_output

EXAMPLES = "tfx.types.standard_artifacts.Examples"
ROOT = "minio://bucket/run/step"

SIGNATURE = NodeSignature(
    executor="tests.kubeflow.probe.Executor",
    inputs={"given": InputType(EXAMPLES), "extra": InputType(EXAMPLES, optional=True)},
    outputs={"made": EXAMPLES},
    parameters={"steps": "NUMBER_INTEGER", "rate": "NUMBER_DOUBLE", "none": "STRING"},
)


def handed_over(**inputs: str) -> dict:
    return {
        "inputs": {
            "parameterValues": {"steps": 3.0, "rate": 2.0, "none": None, "run_id": "abc"},
            "artifacts": {k: {"artifacts": [{"uri": uri}]} for k, uri in inputs.items()},
        },
        "outputs": {
            "artifacts": {
                "made": {"artifacts": [{"name": "n", "uri": f"{ROOT}/made", "metadata": {}}]},
                "executor-logs": {"artifacts": [{"uri": f"{ROOT}/executor-logs"}]},
            },
            "outputFile": "",
        },
    }


def test_an_executor_sees_paths_and_whole_numbers_and_the_launcher_uris(tmp_path: Path) -> None:
    given = handed_over(given="minio://bucket/a", extra="gs://other/b")
    output = run_step(SIGNATURE, given, [], str(tmp_path))
    [made] = output["artifacts"]["made"]["artifacts"]
    assert set(output["artifacts"]) == {"made"}
    assert made["uri"] == f"{ROOT}/made"
    assert made["name"] == "n"
    assert made["metadata"] == {
        "split_names": '["train"]',
        "span": 3,
        "count": 7,
        "share": 0.5,
        "list": [1, None, 2],
        "best": f"{ROOT}/made/told.json",
        "data": "s3://imagery/somebody's",
    }
    result = json.loads((tmp_path / "minio/bucket/run/step/made/told.json").read_text())
    assert result["inputs"] == {"given": f"{tmp_path}/minio/bucket/a"}, "extra is not in the store"
    assert result["properties"] == {"steps": 3, "rate": 2.0}
    assert result["run_id"] == "abc"
    assert result["folder_was_made"]


def test_an_optional_input_that_is_there_is_handed_on(tmp_path: Path) -> None:
    (tmp_path / "gcs/other/b").mkdir(parents=True)
    run_step(SIGNATURE, handed_over(given="s3://a", extra="gs://other/b"), [], str(tmp_path))
    result = json.loads((tmp_path / "minio/bucket/run/step/made/told.json").read_text())
    assert set(result["inputs"]) == {"given", "extra"}


def test_an_input_that_the_launcher_forgot_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SkymillError, match="no input given"):
        run_step(SIGNATURE, handed_over(), [], str(tmp_path))


@pytest.mark.parametrize("mlmd", [True, False])
def test_properties_come_back_as_they_were(mlmd: bool) -> None:
    """ML Metadata wraps lists and structs once more; servers without it keep them as they are."""
    sizes, facts = [1.0, 2.5], {"count": 4.0, "nothing": None}
    given = {
        "uri": "s3://bucket/examples",
        "type": {"instanceSchema": ""},
        "metadata": {
            "span": 2.0,
            "split_names": '["train"]',
            "payload": "FORMAT_TF_EXAMPLE",
            "sizes": {"list": sizes} if mlmd else sizes,
            "facts": {"struct": facts} if mlmd else facts,
            "nothing": None,
            "folder": "s3://bucket/examples/Split-train",
            "display_name": "examples",
            "store_session_info": "{}",
        },
    }
    artifact = restore_artifact(given, EXAMPLES, ArtifactPaths.of([given["uri"]], "/"))
    assert isinstance(artifact, Examples)
    assert artifact.uri == "/s3/bucket/examples"
    assert artifact.span == 2
    assert artifact.split_names == '["train"]'
    assert artifact.get_string_custom_property("payload") == "FORMAT_TF_EXAMPLE"
    assert artifact.get_json_value_custom_property("sizes") == [1, 2.5]
    assert artifact.get_json_value_custom_property("facts") == {"count": 4}
    assert artifact.get_string_custom_property("folder") == "/s3/bucket/examples/Split-train"
    for name in ("nothing", "display_name", "store_session_info"):
        assert not artifact.has_custom_property(name)


def test_a_property_of_another_type_and_one_that_is_missing_are_errors() -> None:
    spoilt = {"uri": "s3://b/e", "metadata": {"span": "today"}}
    with pytest.raises(DataError, match="span came back as 'today', not as int"):
        restore_artifact(spoilt, EXAMPLES, ArtifactPaths({}))
    path = "components.gate.artifact.Baseline"
    known = {"uri": "s3://b/e", "metadata": {"served_version": -1.0}}
    assert restore_artifact(known, path, ArtifactPaths({})).served_version == -1
    with pytest.raises(DataError, match="no property served_version"):
        _ = restore_artifact({"uri": "s3://b/e"}, path, ArtifactPaths({})).served_version
    assert Baseline().uri == ""


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("minio://mlpipeline/a/b", "/minio/mlpipeline/a/b"),
        ("s3://bucket/a", "/s3/bucket/a"),
        ("gs://bucket/a", "/gcs/bucket/a"),
        ("/local/a", "/local/a"),
    ],
)
def test_uris_are_where_the_launcher_mounts_them(uri: str, path: str) -> None:
    assert local_path(uri) == path
    places = ArtifactPaths.of([uri], "/")
    assert places.to_path(f"{uri}/x") == f"{path}/x"
    assert places.to_uri([f"{path}/x", f"{path}-other"]) == [f"{uri}/x", f"{path}-other"]


def test_a_signature_and_an_output_survive_their_way(tmp_path: Path) -> None:
    signature = NodeSignature(
        "a.B",
        {"x": InputType("c.D", True)},
        {"y": "e.F"},
        {"p": "STRING"},
        (OutputView("y_html", "system.HTML", "y"),),
    )
    assert NodeSignature.from_json(signature.to_json()) == signature
    path = tmp_path / "kfp_outputs" / "output_metadata.json"
    write_output({"outputs": {"outputFile": str(path)}}, {"artifacts": {}})
    assert json.loads(path.read_text()) == {"artifacts": {}}
