"""The compiled package of a tiny configuration, run whole by an imitation of the backend."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.config import parse_config
from pipelines.kubeflow.package import compile_package
from tests.kubeflow.launcher import CACHED, FAILED, SKIPPED, SUCCEEDED, Backend, Run

pytestmark = pytest.mark.slow

IMAGE = "registry.example/skymill@sha256:" + "0" * 64
COLOURS = {"field": (40, 160, 60), "roof": (170, 60, 50)}
IMAGES = 30


def make_images(folder: Path) -> None:
    rng = np.random.default_rng(5)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for number in range(IMAGES):
            pixels = np.clip(np.array(colour) + rng.normal(0, 12, (16, 16, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")


def package(volume: Path, **changes: dict) -> str:
    tree = {
        "name": "land_cover",
        "workspace": str(volume / "work"),
        "ingest": {
            "source": {"kind": "folders", "uri": str(volume / "images")},
            "image": {"height_px": 16, "width_px": 16},
        },
        "schema": {"home": str(volume / "schema.pbtxt")},
        "data_check": {"skew_threshold": 1.0, "drift_threshold": 1.0},
        "train": {"model": {"kind": "small_cnn", "filters": [8]}, "epochs": 2, "batch_size": 8},
        "evaluation": {"allow": ["missing_baseline"]},
        "push": {"model_dir": str(volume / "models")},
        "kubeflow": {
            "steps": {"image": IMAGE, "volumes": [{"claim": "data", "path": str(volume)}]}
        },
    }
    for part, values in changes.items():
        tree[part] = {**tree.get(part, {}), **values}
    return compile_package(parse_config(tree, "/")).to_yaml()


def states(run: Run) -> dict[str, str]:
    return {name: task.state for name, task in run.items()}


def test_a_package_runs_as_it_does_here_and_its_gates_hold(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    make_images(volume / "images")
    backend = Backend(tmp_path / "cluster", "minio://mlpipeline/v2", "SKYMILL_MOUNT_ROOT")

    first = backend.run(package(volume))
    logs = "\n".join(f"== {k}\n{t.log[-3000:]}" for k, t in first.items() if t.state == FAILED)
    assert set(states(first).values()) == {SUCCEEDED}, logs
    assert len(first) == 15
    assert (volume / "models" / "land_cover" / "1" / "saved_model.pb").is_file()

    # What a page of Kubeflow shows is what the evaluation says.
    evaluation = first["evaluation"].artifacts
    metrics = evaluation["metrics"]["metadata"]
    known = json.loads(backend.read(f"{evaluation['evaluation']['uri']}/metrics.json"))
    assert metrics["accuracy"] == known["slices"][0]["candidate"]["accuracy"]
    matrix = evaluation["confusion_matrix"]["metadata"]["confusionMatrix"]["struct"]
    names = [one["displayName"] for one in matrix["annotationSpecs"]]
    assert names == [*sorted(COLOURS), "(unknown)"]
    assert sum(sum(row["row"]) for row in matrix["rows"]) == metrics["example_count"]
    assert b"<h1>evaluation: passed" in backend.read(evaluation["report_html"]["uri"])
    pushed = first["push"].artifacts["pushed"]["metadata"]
    assert pushed["pushed"] == 1.0
    assert pushed["pushed_version"] == 1.0
    assert pushed["pushed_destination"] == str(volume / "models" / "land_cover" / "1")

    # The same data again: nothing is computed but what looks outside, and nothing is pushed.
    second = backend.run(package(volume))
    assert second["ingest"].state == second["trainer"].state == CACHED
    assert second["prepare"].state == second["baseline"].state == SUCCEEDED
    assert second["push"].state == SUCCEEDED, second["push"].log[-3000:]
    assert second["push"].artifacts["pushed"]["metadata"]["pushed"] == 0.0
    assert (
        second["evaluation"].inputs["inputs"]["artifacts"]["baseline"]["artifacts"][0]["metadata"][
            "served_version"
        ]
        == 1.0
    )

    # The other branch of a gate: it stops, its evidence stays, and what is behind it never runs.
    def without_baseline(name: str, given: dict) -> None:
        if name == "evaluation":
            backend.remove(given["inputs"]["artifacts"]["baseline"]["artifacts"][0]["uri"])

    strict = {"thresholds": [{"metric": "accuracy", "at_least": 1.01}]}
    third = backend.run(
        package(volume, evaluation={"allow": ["missing_baseline"], **strict}),
        hook=without_baseline,
    )
    assert third["evaluation"].state == SUCCEEDED, third["evaluation"].log[-3000:]
    assert third["stop-on-metrics"].state == FAILED
    assert "blocked the run" in third["stop-on-metrics"].log
    assert third["infra-check"].state == third["push"].state == SKIPPED
    assert b"<h1>evaluation: failed" in backend.read(
        third["evaluation"].artifacts["report_html"]["uri"]
    )
    uri = third["evaluation"].artifacts["evaluation"]["uri"]
    assert json.loads(backend.read(f"{uri}/metrics.json"))["baseline_version"] is None
    assert [
        path.name for path in (volume / "models" / "land_cover").iterdir() if path.name.isdigit()
    ] == ["1"]


def test_what_goes_wrong_is_told_by_the_step_that_sees_it(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    make_images(volume / "images")
    backend = Backend(tmp_path / "cluster", "minio://mlpipeline/v2", "SKYMILL_MOUNT_ROOT")
    compiled = package(volume)

    missing = backend.run(compiled, {"data_location": str(volume / "nowhere")})
    assert missing["prepare"].state == FAILED
    assert str(volume / "nowhere") in missing["prepare"].log
    assert set(states(missing).values()) == {FAILED, SKIPPED}

    other = backend.run(compiled, {"data_fingerprint": "f" * 64})
    assert other["prepare"].state == FAILED
    assert "the data has changed since" in other["prepare"].log

    def spoil(name: str, given: dict) -> None:
        if name == "statistics":
            given["inputs"]["artifacts"]["examples"]["artifacts"][0]["metadata"]["span"] = "today"

    spoilt = backend.run(compiled, hook=spoil)
    assert spoilt["ingest"].state == SUCCEEDED, spoilt["ingest"].log[-3000:]
    assert spoilt["statistics"].state == FAILED
    assert "the property span came back as 'today', not as int" in spoilt["statistics"].log
    assert spoilt["trainer"].state == spoilt["push"].state == SKIPPED
    assert not (volume / "models").exists()

    # One more image is other data: ingest runs again.
    image = Image.fromarray(np.full((16, 16, 3), 90, np.uint8))
    image.save(volume / "images" / "roof" / "new.png")
    again = backend.run(compiled, hook=spoil)
    assert again["ingest"].state == SUCCEEDED
    assert again["prepare"].parameters["fingerprint"] != spoilt["prepare"].parameters["fingerprint"]
