"""Messages about a configuration."""

import json

import pytest
import yaml

from components.raster.errors import ConfigError
from pipelines.config.tree import config_json_schema, load_config, parse_config

LEAST = {
    "name": "roofs",
    "ingest": {"source": {"kind": "folders", "uri": "images"}},
    "push": {"model_dir": "models"},
}


def refusal(**changes):
    with pytest.raises(ConfigError) as caught:
        parse_config({**LEAST, **changes}, base_dir="/data")
    return str(caught.value)


def test_three_keys_are_enough_and_paths_are_taken_from_the_files_folder():
    config = parse_config(LEAST, base_dir="/data/project")
    assert config.ingest.source.uri == "/data/project/images"
    assert config.workspace == "/data/project/skymill"
    assert config.schema_.home == "/data/project/schema.pbtxt"
    assert config.model_base == "/data/project/models/roofs"


def test_a_uri_and_an_absolute_path_stay_as_they_are():
    source = {"kind": "folders", "uri": "gs://bucket/images"}
    config = parse_config(
        {**LEAST, "ingest": {"source": source}, "push": {"model_dir": "/srv/models"}}, "/data"
    )
    assert config.ingest.source.uri == "gs://bucket/images"
    assert config.model_base == "/srv/models/roofs"


def test_an_unknown_key_is_refused_with_the_nearest_known_one():
    assert "trian: unknown key. Did you mean 'train'?" in refusal(trian={})


def test_an_unknown_key_inside_a_kind_is_distinguished_from_that_kinds_keys():
    text = refusal(train={"model": {"kind": "small_cnn", "fliters": [8]}})
    assert "train.model.small_cnn.fliters: unknown key. Did you mean 'filters'?" in text


def test_a_wrong_value_is_named_with_its_key_and_what_would_be_right():
    text = refusal(train={"batch_size": 0})
    assert "train.batch_size: 0 is not accepted" in text
    assert "greater than or equal to 1" in text


def test_a_check_of_ours_speaks_for_itself():
    """Pydantic puts `Value error,` before its sentence."""
    text = refusal(kubeflow={"steps": {"retries": {"factor": 1.5}}})
    assert "kubeflow.steps.retries.factor: 1.5 is not accepted: 1.5 is not a whole number" in text


def test_every_finding_is_listed_at_once():
    text = refusal(name="Roofs", train={"epochs": 0}, push={})
    assert text.splitlines()[0] == "config: 3 things to correct:"
    assert "name: 'Roofs'" in text
    assert "train.epochs" in text
    assert "push.model_dir: is required and missing." in text


def test_a_key_given_twice_is_an_error_and_not_the_last_one(tmp_path):
    path = tmp_path / "skymill.yaml"
    path.write_text("name: a\nname: b\n")
    with pytest.raises(ConfigError, match="the key 'name' is given twice"):
        load_config(str(path))


def test_a_missing_file_names_the_command_that_writes_one(tmp_path):
    with pytest.raises(ConfigError, match="skymill init"):
        load_config(str(tmp_path / "none.yaml"))


def test_yaml_that_would_build_an_object_is_refused(tmp_path):
    path = tmp_path / "skymill.yaml"
    path.write_text("name: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(str(path))


def test_a_configuration_cannot_be_changed_after_it_was_read():
    config = parse_config(LEAST, base_dir="/data")
    with pytest.raises(ValueError, match="frozen"):
        config.name = "other"


def test_the_published_json_schema_is_the_code_s(repository):
    published = (repository / "docs" / "config.schema.json").read_text()
    assert published == config_json_schema(), "make it anew: skymill config json-schema > docs/..."


def test_the_json_schema_knows_every_part_and_forbids_others():
    schema = json.loads(config_json_schema())
    assert set(LEAST) <= set(schema["properties"])
    assert "schema" in schema["properties"]
    assert schema["additionalProperties"] is False


def test_every_example_configuration_is_accepted(repository):
    paths = sorted((repository / "examples").glob("*.yaml"))
    assert len(paths) >= 3
    for path in paths:
        config = load_config(str(path))
        assert config.name == yaml.safe_load(path.read_text())["name"]


def test_a_threshold_must_speak_of_a_metric_of_the_task_that_ingest_reads_truth_of():
    thresholds = {"thresholds": [{"metric": "mean_iou", "at_least": 0.5}]}
    text = refusal(evaluation=thresholds)
    assert "evaluation.thresholds names mean_iou" in text
    assert "which the task single_label does not have" in text
    masks = {
        "kind": "scenes",
        "uri": "scenes",
        "labels": {
            "kind": "masks",
            "folder": "masks",
            "legend": {"values": {1: "roof", 2: "water"}},
        },
        "target": {"to": "mask"},
    }
    ingest = {"source": masks, "image": {"bands": ["red"]}}
    config = parse_config({**LEAST, "ingest": ingest, "evaluation": thresholds}, "/data")
    assert config.ingest.task == "segmentation"
