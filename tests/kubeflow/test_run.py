"""The compiled package of a tiny configuration, run whole by an imitation of the backend."""

import json
from dataclasses import dataclass
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest
import yaml
from PIL import Image

from tests.kubeflow.api_server.execution import Execution
from tests.kubeflow.api_server.metadata import metadata_server
from tests.kubeflow.api_server.server import api_server
from tests.kubeflow.land_cover import COLOURS, IMAGES, make_images, package, tree
from tests.kubeflow.launcher import CACHED, FAILED, SKIPPED, SUCCEEDED, Backend, Run

pytestmark = pytest.mark.slow

#: Steps of the first run that start as those of a cluster do, with imports of their own.
FRESH = {"prepare", "ingest", "trainer", "evaluation", "push"}


@dataclass(frozen=True)
class Cluster:
    """A backend with a volume, and the first run of the tiny pipeline."""

    backend: Backend
    volume: Path
    first: Run


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    folder = tmp_path_factory.mktemp("cluster")
    volume = folder / "volume"
    make_images(volume / "images")
    backend = Backend(folder, "minio://mlpipeline/v2", "SKYMILL_MOUNT_ROOT")

    def start(name: str, given: dict) -> None:
        backend.warm = name not in FRESH

    first = backend.run(package(volume), hook=start)
    backend.warm = True
    return Cluster(backend, volume, first)


def states(run: Run) -> dict[str, str]:
    return {name: task.state for name, task in run.items()}


def failures(run: Run) -> str:
    failed = [(name, task) for name, task in run.items() if task.state == FAILED]
    return "\n".join(f"== {name}\n{task.log[-3000:]}" for name, task in failed)


def versions(cluster: Cluster) -> list[str]:
    folder = cluster.volume / "models" / "land_cover"
    return sorted(path.name for path in folder.iterdir() if path.name.isdigit())


def properties(run: Run, task: str, output: str) -> dict:
    return run[task].artifacts[output]["metadata"]


def test_the_package_runs_whole_and_pushes(cluster: Cluster) -> None:
    assert set(states(cluster.first).values()) == {SUCCEEDED}, failures(cluster.first)
    assert len(cluster.first) == 17
    assert versions(cluster) == ["1"]
    assert (cluster.volume / "models/land_cover/1/saved_model.pb").is_file()
    pushed = properties(cluster.first, "push", "pushed")
    assert (pushed["pushed"], pushed["pushed_version"]) == (1.0, 1.0)
    assert pushed["pushed_destination"] == str(cluster.volume / "models/land_cover/1")
    lineage = json.loads(
        (cluster.volume / "models/land_cover/1/provenance/provenance.json").read_text()
    )
    assert lineage["run_id"] == "run-1"
    fingerprint = cluster.first["prepare"].parameters["fingerprint"]
    assert lineage["data_fingerprint"] == fingerprint
    assert lineage["artifacts"]["model"].startswith("minio://mlpipeline/v2/land-cover/run-1/")


def test_kubeflows_pages_show_what_was_measured(cluster: Cluster) -> None:
    evaluation = cluster.first["evaluation"].artifacts
    metrics = evaluation["metrics"]["metadata"]
    known = json.loads(cluster.backend.read(f"{evaluation['evaluation']['uri']}/metrics.json"))
    assert metrics["accuracy"] == known["slices"][0]["candidate"]["accuracy"]
    matrix = evaluation["confusion_matrix"]["metadata"]["confusionMatrix"]["struct"]
    names = [one["displayName"] for one in matrix["annotationSpecs"]]
    assert names == [*sorted(COLOURS), "(unknown)"]
    assert sum(sum(row["row"]) for row in matrix["rows"]) == metrics["example_count"]
    assert b"<h1>evaluation: passed" in cluster.backend.read(evaluation["report_html"]["uri"])
    page = cluster.backend.read(cluster.first["run-page"].artifacts["page_html"]["uri"]).decode()
    assert "<h1>land_cover</h1>" in page
    assert '<h2 id="training">' in page
    assert page.count("<svg") > 1, "the learning curve and metrics"
    assert '<summary>evaluation <span class="tag yes">passed</span>' in page


def test_the_same_data_is_not_computed_again_but_the_baseline_is(cluster: Cluster) -> None:
    second = cluster.backend.run(package(cluster.volume))
    assert second["ingest"].state == second["trainer"].state == CACHED
    assert second["prepare"].state == second["baseline"].state == SUCCEEDED
    assert second["push"].state == SUCCEEDED, failures(second)
    assert properties(second, "baseline", "baseline")["served_version"] == 1.0
    assert properties(second, "push", "pushed")["pushed"] == 0.0
    assert versions(cluster) == ["1"]


def test_thresholds_stop_a_run_and_leave_their_evidence(cluster: Cluster) -> None:
    def without_baseline(name: str, given: dict) -> None:
        if name == "evaluation":
            found = given["inputs"]["artifacts"]["baseline"]["artifacts"][0]
            cluster.backend.remove(found["uri"])

    thresholds = [{"metric": "accuracy", "at_least": 1.01}]
    run = cluster.backend.run(
        package(cluster.volume, evaluation={"thresholds": thresholds}), hook=without_baseline
    )
    assert run["evaluation"].state == SUCCEEDED, failures(run)
    assert run["stop-on-metrics"].state == FAILED
    assert run["stop-on-metrics"].attempts == 1
    assert "blocked the run" in run["stop-on-metrics"].log
    assert "Traceback" not in run["stop-on-metrics"].log
    assert run["infra-check"].state == run["push"].state == SKIPPED
    page = cluster.backend.read(run["run-page"].artifacts["page_html"]["uri"]).decode()
    blocked = '<details open>\n<summary>evaluation <span class="tag no">blocked</span>'
    assert blocked in page, "the page is there before the run stops"
    artifacts = run["evaluation"].artifacts
    assert b"<h1>evaluation: failed" in cluster.backend.read(artifacts["report_html"]["uri"])
    metrics = cluster.backend.read(f"{artifacts['evaluation']['uri']}/metrics.json")
    assert json.loads(metrics)["baseline_version"] is None, "an optional input that was missing"
    assert versions(cluster) == ["1"]


def test_a_server_that_cannot_be_tried_stops_a_run(cluster: Cluster) -> None:
    run = cluster.backend.run(package(cluster.volume, infra_check={"split": "nowhere"}))
    assert run["infra-check"].state == SUCCEEDED, failures(run)
    assert run["stop-on-answers"].state == FAILED
    assert "nowhere split has no example" in run["stop-on-answers"].log
    assert run["push"].state == SKIPPED
    folder = run["infra-check"].artifacts["report"]["uri"]
    assert json.loads(cluster.backend.read(f"{folder}/report.json"))["passed"] is False
    assert versions(cluster) == ["1"]


def test_skewed_data_stops_a_run_before_training(cluster: Cluster) -> None:
    strict = {"skew_threshold": 1e-9, "min_examples": 1}
    run = cluster.backend.run(package(cluster.volume, data_check=strict))
    assert run["data-check"].state == SUCCEEDED, failures(run)
    assert run["stop-on-anomalies"].state == FAILED
    assert run["trainer"].state == run["push"].state == SKIPPED
    folder = run["data-check"].artifacts["report"]["uri"]
    assert json.loads(cluster.backend.read(f"{folder}/report.json"))["passed"] is False
    assert versions(cluster) == ["1"]


def test_broken_images_stop_a_run_before_statistics(cluster: Cluster) -> None:
    broken = cluster.volume / "broken"
    make_images(broken)
    for number in range(IMAGES // 2):
        (broken / "roof" / f"{number}.png").write_bytes(b"no image")
    run = cluster.backend.run(package(cluster.volume), {"data_location": str(broken)})
    assert run["ingest"].state == SUCCEEDED, failures(run)
    assert properties(run, "ingest", "rejects")["count"] == IMAGES // 2
    assert run["stop-on-rejects"].state == FAILED
    assert run["statistics"].state == run["trainer"].state == SKIPPED
    folder = run["ingest"].artifacts["rejects"]["uri"]
    assert json.loads(cluster.backend.read(f"{folder}/report.json"))["passed"] is False
    assert versions(cluster) == ["1"]


def test_spoilt_metadata_is_reported_and_new_data_is_ingested(cluster: Cluster) -> None:
    def spoil(name: str, given: dict) -> None:
        if name == "statistics":
            given["inputs"]["artifacts"]["examples"]["artifacts"][0]["metadata"]["span"] = "today"

    more = cluster.volume / "more"
    make_images(more)
    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(more / "roof" / "new.png")
    run = cluster.backend.run(package(cluster.volume), {"data_location": str(more)}, hook=spoil)
    assert run["ingest"].state == SUCCEEDED, failures(run)
    known = cluster.first["prepare"].parameters["fingerprint"]
    assert run["prepare"].parameters["fingerprint"] != known
    assert run["statistics"].state == FAILED
    assert "the property span came back as 'today', not as int" in run["statistics"].log
    assert run["trainer"].state == run["push"].state == SKIPPED


def test_the_notebook_shows_data_and_the_metrics_of_its_run(
    cluster: Cluster, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs every cell in a kernel against the API and the metadata store of the cluster."""
    (tmp_path / "skymill.yaml").write_text(yaml.safe_dump(tree(cluster.volume)))
    notebook = nbformat.read(repository / "notebooks" / "kubeflow.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    with api_server() as api, metadata_server() as metadata:
        execution = Execution(cluster.backend, api.store, metadata)
        monkeypatch.setenv("SKYMILL_KFP_ENDPOINT", api.url)
        monkeypatch.setenv("SKYMILL_KFP_METADATA", metadata.address)
        monkeypatch.setenv("PYTHONPATH", str(repository))
        kernel = {"metadata": {"path": str(tmp_path)}}
        nbclient.NotebookClient(notebook, timeout=900, resources=kernel).execute()
        execution.join()
    [run] = execution.runs.values()
    assert set(states(run).values()) <= {SUCCEEDED, CACHED}, failures(run)
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in shown), "a picture of the data"
    said = "".join(output.get("text", "") for output in shown)
    assert "succeeded trainer" in said
    last = shown[-1]["data"]["text/plain"]
    metrics = properties(run, "evaluation", "metrics")
    assert f"{metrics['accuracy']:.3f}" in last
    assert "accuracy" in last


def test_a_search_comes_before_the_training_and_is_cached_like_it(cluster: Cluster) -> None:
    tune = {"trials": 2, "epochs": 1, "space": {"learning_rate": {"values": [0.003, 0.01]}}}
    compiled = package(cluster.volume, tune=tune)
    run = cluster.backend.run(compiled)
    assert run["ingest"].state == run["statistics"].state == CACHED
    assert run["tuner"].state == SUCCEEDED, failures(run)
    assert run["trainer"].state == run["push"].state == SUCCEEDED, failures(run)
    results = run["tuner"].artifacts["tuner_results"]["uri"]
    trials = json.loads(cluster.backend.read(f"{results}/trials.json"))["rows"]
    assert [row["rank"] for row in trials] == [1, 2]
    page = cluster.backend.read(run["tuner"].artifacts["tuner_results_html"]["uri"])
    assert b"random search: 2 of 2 trials" in page
    assert b"data:image/png;base64,iVBOR" in page
    assert not list((cluster.volume / "work" / "tuning").iterdir()), "nothing left to go on from"
    version = cluster.volume / "models/land_cover" / versions(cluster)[-1]
    result = json.loads((version / "provenance/provenance.json").read_text())
    assert result["tuned"] == trials[0]["values"]
    again = cluster.backend.run(compiled)
    assert again["tuner"].state == again["trainer"].state == CACHED
