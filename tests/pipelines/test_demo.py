"""The whole demo, and its gates on a degraded copy. The tests run in order."""

import json

import pytest
import yaml

from pipelines.demo.collection import Collection, make_collection

pytestmark = pytest.mark.slow

BROKEN = {"corrupt": 2, "missing_file": 1, "unknown_label": 1, "unsupported_format": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(folder, skymill):
    done = skymill("demo", "--folder", str(folder), "--epochs", "8")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def last_summary(folder):
    newest = max((folder / "landcover-runs" / "runs").iterdir())
    return json.loads((newest / "summary.json").read_text())


@pytest.fixture(scope="module")
def first_summary(first, folder):
    return last_summary(folder)


def changed_config(folder, name, **changes):
    """A copy of the demo's configuration with some parts changed."""
    tree = yaml.safe_load((folder / "landcover.yaml").read_text())
    for part, values in changes.items():
        tree[part] = {**tree.get(part, {}), **values}
    path = folder / name
    path.write_text(yaml.safe_dump(tree))
    return str(path)


def test_every_image_becomes_an_example_or_a_reject(first_summary):
    assert sum(first_summary["images"].values()) == 7 * 4 * 9 * 6
    assert first_summary["rejects"] == BROKEN


def test_a_scene_never_stands_on_both_sides_of_a_split(first_summary):
    for count in first_summary["images"].values():
        assert count % (4 * 6) == 0  # whole scenes: 4 tiles of 6 classes


def test_the_model_has_learnt_what_cannot_be_guessed(first_summary):
    [overall] = [s for s in first_summary["metrics"]["slices"] if s["slice"] == "overall"]
    assert overall["candidate"]["accuracy"] >= 0.7
    assert overall["examples"] == first_summary["images"]["test"]


def test_the_slices_cover_the_test_split(first_summary):
    by_region = [s for s in first_summary["metrics"]["slices"] if s["slice"].startswith("region=")]
    assert sum(s["examples"] for s in by_region) == first_summary["images"]["test"]


def test_the_pushed_version_is_whole_and_has_its_provenance(first_summary, folder):
    assert first_summary["pushed_version"] == 1
    version = folder / "landcover-models" / "landcover" / "1"
    assert (version / "saved_model.pb").is_file()
    provenance = json.loads((version / "provenance" / "provenance.json").read_text())
    assert first_summary["fingerprint"] in json.dumps(provenance)
    assert first_summary["run_id"] in json.dumps(provenance)
    assert (version / "provenance" / "Split-train" / "FeatureStats.pb").is_file()


def test_both_protocols_answer_alike(first):
    table = first.stdout[first.stdout.index("over gRPC") :].splitlines()[1:]
    answers = [line.split() for line in table if ".jpg" in line]
    assert len(answers) == 12
    assert all(words[2:4] == words[4:6] for words in answers)
    right = sum(words[1] == words[2] for words in answers)
    assert right >= 8


def test_the_terminal_shows_no_framework_noise(first):
    for noise in ("WARNING", "absl", "TensorFlow binary", "DeprecationWarning"):
        assert noise not in first.stdout + first.stderr


@pytest.fixture(scope="module")
def second(first, folder, warm_skymill):
    return warm_skymill("run", str(folder / "landcover.yaml"), "--json")


def test_a_second_run_takes_what_has_not_changed_and_pushes_nothing(second, folder):
    summary = json.loads(second.stdout)
    assert second.returncode == 0, second.stderr
    for node in ("Ingest", "Statistics", "Schema", "Trainer"):
        assert summary["nodes"][node] == "cached"
    assert summary["nodes"]["Baseline"] == "complete"
    assert summary["nodes"]["Evaluation"] == "complete"
    versions = folder / "landcover-models" / "landcover"
    assert sorted(p.name for p in versions.iterdir() if p.name.isdigit()) == ["1"]


def test_a_run_in_which_nothing_changed_computes_nothing(second, folder, warm_skymill):
    """The second run compares the model with itself; from then on the baseline is the same."""
    done = warm_skymill("run", str(folder / "landcover.yaml"), "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["nodes"].values()) == {"cached"}


def test_past_runs_are_listed_with_their_lineage(first, folder, skymill):
    listed = json.loads(skymill("runs", "--json", "-c", str(folder / "landcover.yaml")).stdout)
    first_run = listed[-1]
    assert first_run["outcome"] == "succeeded"
    nodes = {node["node_id"]: node for node in first_run["nodes"]}
    [model] = nodes["InfraCheck"]["outputs"]["checked"]
    assert nodes["Push"]["inputs"]["model"] == [model["artifact_id"]]
    shown = skymill("runs", first_run["run_id"], "-c", str(folder / "landcover.yaml")).stdout
    assert f"checked: {model['uri']}" in shown
    assert "from Baseline, DataCheck, Evaluation, InfraCheck, Ingest, Schema, Statistics" in shown


def test_too_many_rejects_stop_the_run_and_say_which(first, folder, warm_skymill):
    config = changed_config(folder, "strict.yaml", ingest={**_ingest(folder), **_no_rejects})
    done = warm_skymill("run", config, "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["outcome"]) == (3, "blocked")
    assert summary["nodes"]["StopOnRejects"] == "stopped"
    assert "corrupt 2" in summary["reason"]
    assert "Trainer" not in summary["nodes"]


_no_rejects = {"max_reject_fraction": 0.0}


def _ingest(folder, source=None):
    ingest = yaml.safe_load((folder / "landcover.yaml").read_text())["ingest"]
    if source:
        ingest["source"]["uri"] = source
    return ingest


@pytest.fixture(scope="module")
def degraded(folder):
    return make_collection(str(folder / "degraded"), Collection(broken=False, degraded=True))


def test_a_degraded_delivery_is_stopped_as_drift_before_it_is_trained_on(
    first, folder, degraded, warm_skymill
):
    config = changed_config(folder, "degraded.yaml", ingest=_ingest(folder, degraded))
    done = warm_skymill("run", config, "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["outcome"]) == (3, "blocked")
    assert summary["nodes"]["StopOnAnomalies"] == "stopped"
    assert "image/brightness" in summary["reason"]
    assert "drift" in summary["reason"]
    assert "Trainer" not in summary["nodes"]
    [data] = [gate for gate in summary["gates"] if gate["gate"] == "data"]
    assert not data["passed"]


def test_a_model_of_degraded_data_is_stopped_by_the_metrics(first, folder, degraded, warm_skymill):
    """A third of its labels are wrong, so no model can exceed an accuracy of about 0.72."""
    config = changed_config(
        folder,
        "insisting.yaml",
        ingest=_ingest(folder, degraded),
        data_check={"drift_threshold": 1.0, "skew_threshold": 1.0},
        train={"model": {"kind": "small_cnn"}, "epochs": 2},
        evaluation={"thresholds": [{"metric": "accuracy", "at_least": 0.8}]},
    )
    summary = blocked_by_metrics(warm_skymill, config, folder)
    assert "accuracy" in summary["reason"]
    assert "0.8" in summary["reason"]


def test_a_model_that_is_worse_than_the_served_one_is_stopped(first, folder, warm_skymill):
    config = changed_config(
        folder,
        "worse.yaml",
        train={"model": {"kind": "small_cnn"}, "epochs": 1, "learning_rate": 1e-6},
        evaluation={"thresholds": [{"metric": "accuracy", "change": {"at_least": -0.02}}]},
    )
    summary = blocked_by_metrics(warm_skymill, config, folder)
    [overall] = [s for s in summary["metrics"]["slices"] if s["slice"] == "overall"]
    assert overall["candidate"]["accuracy"] < overall["baseline"]["accuracy"] - 0.02


def blocked_by_metrics(warm_skymill, config, folder):
    done = warm_skymill("run", config, "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["outcome"]) == (3, "blocked"), summary["reason"]
    assert summary["nodes"]["StopOnMetrics"] == "stopped"
    assert summary["metrics"]["baseline_version"] == 1
    assert "Push" not in summary["nodes"]
    versions = folder / "landcover-models" / "landcover"
    assert sorted(p.name for p in versions.iterdir() if p.name.isdigit()) == ["1"]
    return summary


def test_an_accepted_schema_judges_later_runs(first, folder, skymill, warm_skymill):
    config = str(folder / "landcover.yaml")
    assert skymill("schema", "accept", "-c", config).returncode == 0
    assert "accepted" in skymill("schema", "show", "-c", config).stdout
    home = folder / "landcover-schema.pbtxt"
    home.write_text(home.read_text().replace('"water"', '"sea"'))
    done = warm_skymill("run", config, "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["outcome"]) == (3, "blocked")
    assert "label/text" in summary["reason"]
    assert "water" in summary["reason"]
    home.unlink()
