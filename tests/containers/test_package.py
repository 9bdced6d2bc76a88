"""The compiled package runs whole by kfp.local, every step in a container of its image."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from docker.models.images import Image
from docker.types import Mount
from kfp import local
from kfp.components import load_component_from_text

from components.gate.report import GateReport
from tests.containers.engine import CONFINED, Engine
from tests.kubeflow.land_cover import COLOURS, IMAGES, make_images, package

pytestmark = pytest.mark.containers

USER = 65532  # the images' own
METADATA_ONLY = ("metrics", "confusion_matrix")  # Kubeflow's pages read nothing else
SILENT = {"stop-on-inputs"}  # it has no outputs, and stops by its exit code alone
GATES = {
    "rejects": "ingest/rejects",
    "data": "data-check/report",
    "evaluation": "evaluation/report",
    "infra_check": "infra-check/report",
}


@dataclass(frozen=True)
class Cluster:
    """A volume that every container mounts, and the folder where kfp.local keeps outputs."""

    volume: Path
    root: Path
    image: str

    def package(self, **changes: dict[str, Any]) -> str:
        volumes = [{"claim": "data", "path": str(self.volume)}]
        kubeflow = {"steps": {"image": self.image, "volumes": volumes}}
        return package(self.volume, kubeflow=kubeflow, **changes)

    def run(self, text: str, stopped_by: str | None = None, **parameters: str) -> Path:
        """Runs a package, to its end or to the step that stops it; the folder of its outputs."""
        before = set(self.root.iterdir())
        run = load_component_from_text(text)
        if stopped_by is None:
            run(**parameters)
        else:
            with pytest.raises(RuntimeError, match=f"FAILURE.*'{stopped_by}'"):
                run(**parameters)
        [made] = set(self.root.iterdir()) - before
        return made

    def versions(self) -> list[str]:
        return sorted(one.name for one in self.volume.glob("models/land_cover/[0-9]*"))


@pytest.fixture(scope="module")
def cluster(
    engine: Engine, pipeline_image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A volume with images; what is made below it and below the root is the images' user's."""
    folder = tmp_path_factory.mktemp("cluster")
    volume, root = folder / "volume", folder / "root"
    make_images(volume / "images")
    root.mkdir()
    for path in (volume, root):
        os.chown(path, USER, USER)
    for path in (folder, folder.parent):
        path.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.address)
        mount = Mount(str(volume), str(volume), type="bind")
        local.init(local.DockerRunner(mounts=[mount], **CONFINED), pipeline_root=str(root))
        yield Cluster(volume, root, pipeline_image.tags[0])


@pytest.fixture(scope="module")
def first(cluster: Cluster) -> Path:
    """The outputs of the first run, which nothing stops."""
    return cluster.run(cluster.package())


def tasks(run: Path) -> set[str]:
    return {path.name for path in run.iterdir()}


def published(run: Path, task: str, output: str) -> dict[str, Any]:
    """The metadata with which a step publishes an output."""
    given = json.loads((run / task / "executor_output.json").read_text())
    metadata: dict[str, Any] = given["artifacts"][output]["artifacts"][0]["metadata"]
    return metadata


def test_every_step_leaves_its_outputs_as_the_images_user(first: Path, cluster: Cluster) -> None:
    spec = next(yaml.safe_load_all(cluster.package()))
    assert tasks(first) == spec["root"]["dag"]["tasks"].keys() - SILENT
    for task in tasks(first):
        result = json.loads((first / task / "executor_output.json").read_text())
        for output, found in result.get("artifacts", {}).items():
            [artifact] = found["artifacts"]
            assert artifact["uri"] == str(first / task / output)
            if output in METADATA_ONLY:
                assert artifact["metadata"]
            else:
                assert os.path.exists(artifact["uri"]), f"{task} has no {output}"
    files = [path for path in first.rglob("*") if path.is_file()]
    assert {path.stat().st_uid for path in files} == {USER}


def test_every_gate_passes_with_a_report(first: Path) -> None:
    for gate, place in GATES.items():
        report = GateReport.read(str(first / place / "report.json"))
        assert (report.gate, report.passed, report.failed) == (gate, True, ())
        task = place.partition("/")[0]
        [page] = (first / task).glob("re*_html")
        assert f"<h1>{gate}: passed" in page.read_text()


def test_data_and_metrics_are_those_of_the_images(first: Path) -> None:
    summary = json.loads((first / "ingest/rejects/summary.json").read_text())
    assert sum(summary["images"].values()) == IMAGES * len(COLOURS)
    known = json.loads((first / "evaluation/evaluation/metrics.json").read_text())
    assert (
        published(first, "evaluation", "metrics")["accuracy"]
        == (known["slices"][0]["candidate"]["accuracy"])
    )
    matrix = published(first, "evaluation", "confusion_matrix")["confusionMatrix"]
    assert [one["displayName"] for one in matrix["annotationSpecs"]][:2] == sorted(COLOURS)


def test_the_version_is_pushed_with_its_lineage(first: Path, cluster: Cluster) -> None:
    assert cluster.versions() == ["1"]
    version = cluster.volume / "models/land_cover/1"
    assert (version / "saved_model.pb").stat().st_size > 0
    pushed = published(first, "push", "pushed")
    assert (pushed["pushed"], pushed["pushed_version"]) == (1, 1)
    assert pushed["pushed_destination"] == str(version)
    lineage = json.loads((version / "provenance/provenance.json").read_text())
    prepared = json.loads((first / "prepare/executor_output.json").read_text())
    assert lineage["data_fingerprint"] == prepared["parameterValues"]["fingerprint"]
    assert lineage["artifacts"]["model"].startswith(f"{first}/")
    assert lineage["run_id"]
    assert "{{" not in lineage["run_id"]


def test_broken_images_stop_a_run_and_nothing_is_pushed(first: Path, cluster: Cluster) -> None:
    broken = cluster.volume / "broken"
    make_images(broken)
    for number in range(IMAGES // 2):
        (broken / "roof" / f"{number}.png").write_bytes(b"no image")
    run = cluster.run(cluster.package(), "stop-on-rejects", data_location=str(broken))
    report = GateReport.read(str(run / "ingest/rejects/report.json"))
    assert not report.passed
    assert published(run, "ingest", "rejects")["count"] == IMAGES // 2
    assert "<h1>rejects: failed" in (run / "ingest/rejects_html").read_text()
    assert not tasks(run) & {"stop-on-rejects", "statistics", "trainer", "push"}
    assert cluster.versions() == ["1"]


def test_skewed_data_stop_a_run_and_nothing_is_pushed(first: Path, cluster: Cluster) -> None:
    strict = cluster.package(data_check={"skew_threshold": 1e-9, "min_examples": 1})
    run = cluster.run(strict, "stop-on-anomalies")
    report = GateReport.read(str(run / "data-check/report/report.json"))
    assert not report.passed
    assert "<h1>data: failed" in (run / "data-check/report_html").read_text()
    assert published(run, "baseline", "baseline")["served_version"] == 1
    assert not tasks(run) & {"stop-on-anomalies", "trainer", "push"}
    assert cluster.versions() == ["1"]
