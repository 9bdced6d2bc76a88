"""The pipeline of a tiny configuration on Kubeflow Pipelines itself."""

import json
from pathlib import Path

import pytest

from tests.backend.kubeflow.calls import VOLUME, WAIT_S, followed, land_cover, skymill
from tests.backend.kubeflow.installation import Kubeflow
from tests.backend.kubeflow.known import cached, computed
from tests.kubeflow.land_cover import IMAGES, make_images

pytestmark = pytest.mark.backend

# Prepare, StopOnInputs, Baseline and Push are never cached. What reads the baseline is computed, as
# the first run had none.
_OF_DATA_AND_CONFIGURATION = {
    *("ingest", "stop-on-rejects", "statistics", "schema", "example-validator"),
    *("trainer", "infra-check", "stop-on-answers"),
}


def versions(installation: Kubeflow) -> list[str]:
    folder = installation.data / "models" / "land_cover"
    return sorted(path.name for path in folder.iterdir() if path.name.isdigit())


def test_the_whole_pipeline_pushes_a_version(installation: Kubeflow, tmp_path: Path) -> None:
    code, outcome = followed(installation, tmp_path / "package.yaml", land_cover(installation))
    assert (code, outcome["state"]) == (0, "SUCCEEDED"), outcome
    assert set(outcome["steps"].values()) == {"SUCCEEDED"}
    assert len(outcome["steps"]) == 17
    assert versions(installation) == ["1"]
    assert 0 < outcome["metrics"]["accuracy"] <= 1


def test_the_same_data_and_configuration_take_the_training_from_the_cache(
    installation: Kubeflow, tmp_path: Path
) -> None:
    """Argo and ML Metadata agree on which steps those are; the same model is not pushed again."""
    code, outcome = followed(installation, tmp_path / "package.yaml", land_cover(installation))
    assert (code, outcome["state"]) == (0, "SUCCEEDED"), outcome
    assert set(outcome["steps"].values()) == {"SUCCEEDED"}
    found = cached(installation, outcome["run_id"])
    assert set(outcome["cached"]) == found
    assert found == _OF_DATA_AND_CONFIGURATION
    assert computed(installation, outcome["run_id"]) == set(outcome["steps"]) - found
    assert 0 < outcome["metrics"]["accuracy"] <= 1
    assert versions(installation) == ["1"]


def test_a_gate_blocks_a_run_and_the_next_one_takes_the_data_from_the_cache(
    installation: Kubeflow, tmp_path: Path
) -> None:
    """Half of the photographs of a class are broken, so the gate on rejects blocks both runs."""
    broken = installation.data / "broken"
    make_images(broken, installation.seed)
    for number in range(IMAGES // 2):
        (broken / "roof" / f"{number}.png").write_bytes(b"no image")
    path = tmp_path / "package.yaml"
    path.write_text(land_cover(installation))
    location = f"data_location={VOLUME}/broken"
    words = ("-p", str(path), "--set", location, "--follow", "--timeout", str(WAIT_S), "--json")
    for expected in (set(), {"ingest"}):
        done = skymill(installation, "submit", *words)
        assert done.exit_code == 3, done.output
        outcome = json.loads(done.stdout)
        assert (outcome["state"], outcome["blocked"]) == ("FAILED", True)
        [failed] = outcome["failed"]
        assert failed["step"] == "stop-on-rejects"
        assert failed["reason"].startswith("GateFailed: gate 'rejects' blocked the run")
        assert outcome["steps"]["ingest"] == "SUCCEEDED"
        assert outcome["steps"]["trainer"] == "SKIPPED"
        assert set(outcome["cached"]) == cached(installation, outcome["run_id"]) == expected
    shown = skymill(installation, "runs", "show", outcome["run_id"]).output
    assert f"failed: stop-on-rejects: {failed['reason']}" in shown
    assert "   cached  ingest" in shown


def test_the_gate_on_metrics_blocks_a_run(installation: Kubeflow, tmp_path: Path) -> None:
    """A threshold that no model reaches; the page of the run is made before the gate stops it."""
    thresholds = [{"metric": "accuracy", "at_least": 1.01}]
    text = land_cover(
        installation, evaluation={"allow": ["missing_baseline"], "thresholds": thresholds}
    )
    before = versions(installation)
    code, outcome = followed(installation, tmp_path / "package.yaml", text)
    assert (code, outcome["state"], outcome["blocked"]) == (3, "FAILED", True), outcome
    [failed] = outcome["failed"]
    assert failed["step"] == "stop-on-metrics"
    assert failed["reason"].startswith("GateFailed: gate 'evaluation' blocked the run")
    assert outcome["steps"]["run-page"] == "SUCCEEDED"
    assert 0 < outcome["metrics"]["accuracy"] <= 1
    assert outcome["steps"]["push"] == outcome["steps"]["infra-check"] == "SKIPPED"
    assert computed(installation, outcome["run_id"]).isdisjoint({"push", "infra-check", "trainer"})
    assert versions(installation) == before
