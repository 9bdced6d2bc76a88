"""Values that a run gets when it starts, instead of when it was compiled."""

import json
from pathlib import Path

import pytest
from PIL import Image

from components.raster.errors import ConfigError, DataError
from pipelines.config.kubeflow import StepConfig
from pipelines.config.tree import parse_config
from pipelines.definition.resolve import resolve
from pipelines.kubeflow.compile.resources import cores, gigabytes
from pipelines.kubeflow.contract.parameters import run_parameters
from pipelines.kubeflow.step import stop
from pipelines.kubeflow.step.prepare import outcome, prepare


@pytest.fixture
def config(tmp_path: Path):
    for place in ("one", "two"):
        for name in ("field", "roof"):
            folder = tmp_path / place / name
            folder.mkdir(parents=True)
            Image.new("RGB", (8, 8), "red" if place == "one" else "blue").save(folder / "a.png")
    volume = {"volumes": [{"claim": "data", "path": str(tmp_path)}]}
    volumes = dict.fromkeys(("Prepare", "Ingest", "Schema", "Baseline", "Push"), volume)
    tree = {
        "name": "roofs",
        "ingest": {"source": {"kind": "folders", "uri": "one"}},
        "push": {"model_dir": "models"},
        "kubeflow": {"nodes": volumes},
    }
    return parse_config(tree, str(tmp_path))


def defaults(config) -> dict:
    return {it.name: it.default for it in run_parameters(config)}


def test_the_nodes_get_what_a_local_run_gives_them(config) -> None:
    found = prepare(config, defaults(config))
    inputs = resolve(config)
    assert found["fingerprint"] == inputs.fingerprint
    assert found["schema_sha256"] == ""
    assert json.loads(found["ingest_config"]) == config.ingest.model_dump(mode="json")
    assert found["model_base"] == config.model_base
    trainer = json.loads(found["trainer_config"])
    assert json.loads(trainer["train"]) == config.train.model_dump(mode="json")
    assert trainer["checkpoint_root"] == "", "nothing is mounted for the Trainer"


def test_parameters_reach_the_nodes_and_the_cache_key(config, tmp_path: Path) -> None:
    values = defaults(config) | {
        "data_location": str(tmp_path / "two"),
        "push_destination": str(tmp_path / "other"),
        "epochs": 3.0,
        "steps_per_epoch": 5.0,
    }
    found = prepare(config, values)
    assert found["fingerprint"] != prepare(config, defaults(config))["fingerprint"]
    assert json.loads(found["ingest_config"])["source"]["uri"] == str(tmp_path / "two")
    assert found["model_base"] == str(tmp_path / "other" / "roofs")
    train = json.loads(json.loads(found["trainer_config"])["train"])
    assert (train["epochs"], train["steps_per_epoch"]) == (3, 5)


def test_a_run_reads_the_newest_span_or_the_one_that_is_given(config, tmp_path: Path) -> None:
    for day in ("2026-01-31", "2026-02-01"):
        (tmp_path / "days" / day / "field").mkdir(parents=True)
        Image.new("RGB", (8, 8), "red").save(tmp_path / "days" / day / "field" / "a.png")
    place = {"data_location": str(tmp_path / "days" / "{YYYY}-{MM}-{DD}")}
    newest = prepare(config, defaults(config) | place)
    result = prepare(config, defaults(config) | place | {"span": "2026-01-31"})
    assert (newest["span"], result["span"]) == ("2026-02-01", "2026-01-31")
    uris = [json.loads(it["ingest_config"])["source"]["uri"] for it in (newest, result)]
    assert uris == [str(tmp_path / "days" / day) for day in ("2026-02-01", "2026-01-31")]
    with pytest.raises(ConfigError, match="ingest.span"):
        prepare(config, defaults(config) | place | {"span": "yesterday"})


def test_a_run_for_other_data_and_a_value_that_cannot_be_are_refused(config) -> None:
    with pytest.raises(DataError, match="the data has changed since"):
        prepare(config, defaults(config) | {"data_fingerprint": "0" * 64})
    with pytest.raises(ConfigError, match=r"train\.epochs"):
        prepare(config, defaults(config) | {"epochs": 0})


@pytest.mark.parametrize("place", ["/elsewhere/models", "minio://bucket/models"])
def test_a_destination_that_would_go_with_its_pod_is_refused(config, place: str) -> None:
    with pytest.raises(ConfigError, match=r"push\.model_dir: .*models is"):
        prepare(config, defaults(config) | {"push_destination": place})


@pytest.mark.parametrize("place", ["s3://bucket/models", "gs://bucket/models"])
def test_a_bucket_of_models_needs_no_volume(config, place: str) -> None:
    found = prepare(config, defaults(config) | {"push_destination": place})
    assert found["model_base"] == f"{place}/roofs"


def test_retries_are_there_unless_they_are_given_as_none(config) -> None:
    assert config.kubeflow.step("Ingest").retries.count == 2
    nodes = {"Ingest": StepConfig.model_validate({"retries": {"count": 0}})}
    changed = config.kubeflow.model_copy(update={"nodes": nodes})
    assert changed.step("Ingest").retries.count == 0
    assert changed.step("Trainer").retries.count == 2


@pytest.mark.parametrize(
    ("quantity", "amount"), [("1Gi", 1.073741824), ("500M", 0.5), ("2G", 2.0), ("1000000000", 1.0)]
)
def test_memory_in_gigabytes(quantity: str, amount: float) -> None:
    assert gigabytes(quantity) == pytest.approx(amount)
    assert cores("250m") == 0.25


def stopped(found: dict) -> int:
    """Returns the exit code of the step after Prepare."""
    values = {"failure": found["failure"]}
    return stop.main(["--executor-input", json.dumps({"inputs": {"parameterValues": values}})])


def test_a_failure_that_would_come_again_is_published_and_stops_the_next_step(
    config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stopped(outcome(config, defaults(config))) == 0
    nowhere = str(tmp_path / "nowhere")
    found = outcome(config, defaults(config) | {"data_location": nowhere})
    assert set(found) == set(outcome(config, defaults(config)))
    capsys.readouterr()
    assert stopped(found) == 1
    said = capsys.readouterr().err
    assert nowhere in said
    assert said.startswith(("DataError: ", "ConfigError: "))


@pytest.mark.parametrize(
    ("cause", "lasting"),
    [
        (None, True),
        (FileNotFoundError(2, "no such file"), True),
        (ValueError("no date"), True),
        (ConnectionResetError(104, "reset by peer"), False),
        (TimeoutError("no answer"), False),
        (RuntimeError("from a library"), False),
    ],
)
def test_what_a_network_may_have_caused_is_left_to_the_retries(
    config, monkeypatch: pytest.MonkeyPatch, cause: Exception | None, lasting: bool
) -> None:
    def fails(*_: object) -> None:
        raise DataError("s3://bucket/images cannot be read") from cause

    monkeypatch.setattr("pipelines.kubeflow.step.prepare.inputs_of", fails)
    if lasting:
        found = outcome(config, defaults(config))
        assert found["failure"] == "DataError: s3://bucket/images cannot be read"
        return
    with pytest.raises(DataError):
        outcome(config, defaults(config))
