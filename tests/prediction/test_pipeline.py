"""The pipeline of predictions: its package, and a whole run of it by the imitated backend."""

import json
import shutil

import pyarrow.dataset
import pytest

from components.raster.errors import ConfigError
from pipelines.config.tree import parse_config
from pipelines.definition.kinds import at_start, inputs_of
from pipelines.kubeflow.compile.package import compile_package
from pipelines.kubeflow.contract.parameters import run_parameters
from pipelines.kubeflow.step.prepare import prepare
from pipelines.watch.opening import open_source
from tests.kubeflow.launcher import FAILED, SUCCEEDED, Backend
from tests.prediction import models

_IMAGE = f"registry.example/skymill/pipeline@sha256:{'0' * 64}"


def tree_of(folder):
    return {
        "name": "fields",
        "workspace": str(folder / "work"),
        "ingest": {"source": {"kind": "folders", "uri": str(folder / "labelled")}},
        "push": {"model_dir": str(folder / "models")},
        "prediction": {
            "source": {"kind": "images", "uri": str(folder / "archive")},
            "output": str(folder / "answers"),
            "shards": 2,
        },
        "kubeflow": {
            "pipeline_root": "minio://mlpipeline/v2",
            "steps": {
                "image": _IMAGE,
                "volumes": [{"claim": "skymill", "path": str(folder)}],
                "retries": {"count": 0},
            },
        },
    }


@pytest.fixture
def volume(archive, photographs_model):
    """A volume with an archive, and version 3 of a model where the configuration pushes."""
    shutil.copytree(photographs_model, archive.parent / "models/fields")
    return archive.parent


def values_of(config):
    return {it.name: it.default for it in run_parameters(config, "prediction")}


def test_the_package_prepares_predicts_and_judges_the_rejects(volume):
    spec = compile_package(parse_config(tree_of(volume), "/"), kind="prediction").spec
    tasks = spec["root"]["dag"]["tasks"]
    assert spec["pipelineInfo"]["name"] == "fields-prediction"
    assert {name: task.get("dependentTasks", []) for name, task in tasks.items()} == {
        "prepare": [],
        "stop-on-inputs": ["prepare"],
        "predict": ["prepare", "stop-on-inputs"],
        "stop-on-rejects": ["predict"],
    }
    assert tasks["predict"]["cachingOptions"] == {}
    assert set(spec["root"]["inputDefinitions"]["parameters"]) == {
        "data_location",
        "span",
        "model_location",
        "output_location",
    }


def test_an_output_in_the_pod_alone_is_refused(volume):
    tree = tree_of(volume)
    tree["prediction"]["output"] = "/nowhere/answers"
    with pytest.raises(ConfigError, match="prediction.output: /nowhere/answers is on no volume"):
        compile_package(parse_config(tree, "/"), kind="prediction")


def test_a_configuration_without_the_section_has_no_such_pipeline(volume):
    tree = tree_of(volume)
    del tree["prediction"]
    with pytest.raises(ConfigError, match="prediction: is missing"):
        compile_package(parse_config(tree, "/"), kind="prediction")


def test_a_run_takes_the_version_that_is_newest_when_it_starts(volume):
    config = parse_config(tree_of(volume), "/")
    first = prepare(config, values_of(config), kind="prediction")
    assert json.loads(first["prediction_config"])["model_version"] == 3
    shutil.copytree(volume / "models/fields/3", volume / "models/fields/12")
    second = prepare(config, values_of(config), kind="prediction")
    assert json.loads(second["prediction_config"])["model_version"] == 12
    assert second["fingerprint"] == first["fingerprint"]
    (volume / "archive/notes.png").write_bytes((volume / "archive/site/00.png").read_bytes())
    assert (
        prepare(config, values_of(config), kind="prediction")["fingerprint"] != first["fingerprint"]
    )


def test_a_watch_knows_the_data_that_a_run_of_predictions_reports(volume):
    """Otherwise it would take them for new data after every run."""
    config = parse_config(tree_of(volume), "/")
    taken = inputs_of(at_start(config, "prediction"), "prediction").fingerprint
    assert open_source(config, "prediction").fingerprint() == taken


@pytest.mark.slow
def test_the_package_runs_whole_and_too_many_rejects_stop_it(volume):
    backend = Backend(volume, "minio://mlpipeline/v2", "SKYMILL_MOUNT_ROOT")
    backend.warm = True
    package = compile_package(parse_config(tree_of(volume), "/"), kind="prediction").to_yaml()
    run = backend.run(package)
    logs = "\n".join(task.log[-2000:] for task in run.values() if task.state == FAILED)
    assert {task.state for task in run.values()} == {SUCCEEDED}, logs
    [folder] = (volume / "answers").iterdir()
    assert folder.name.startswith("v3-")
    answers = pyarrow.dataset.dataset(folder, format="parquet", exclude_invalid_files=True)
    assert answers.count_rows() == 40
    pointer = json.loads(
        backend.read(f"{run['predict'].artifacts['predictions']['uri']}/predictions.json")
    )
    assert (pointer["folder"], pointer["predictions"]) == (str(folder), 40)

    models.save_for_photographs(volume / "models/fields/5", turned=True)
    for number in range(10):
        (volume / f"archive/broken-{number}.png").write_bytes(b"no image")
    run = backend.run(package)
    assert run["predict"].state == SUCCEEDED
    assert run["stop-on-rejects"].state == FAILED
    assert "11 of 51 images" in run["stop-on-rejects"].log
    assert {path.name[:2] for path in (volume / "answers").iterdir()} == {"v3", "v5"}
