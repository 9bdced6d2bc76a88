"""The example of docs/extending.md: what the page shows are its files, and it runs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from pipelines.config.tree import load_config
from pipelines.definition.extensions import check_extensions, missing_extensions
from pipelines.definition.resolve import RunInputs
from pipelines.definition.training import pipeline_nodes

EXAMPLE = Path("examples/extending")
#: Brightness of each class, which a small network tells apart.
CLASSES = {"soil": (150, 110, 80), "water": (40, 60, 180), "wood": (40, 110, 40)}
#: A file's name, and the code block below it.
BLOCK = re.compile(
    r"^`(?P<path>examples/extending/[\w/.]+)`\n\n```\w+\n(?P<text>.*?)^```", re.M | re.S
)


@pytest.fixture(scope="module")
def blocks(repository: Path) -> dict[str, str]:
    """The files that the page shows, by path."""
    page = (repository / "docs" / "extending.md").read_text()
    return {found["path"]: found["text"] for found in BLOCK.finditer(page)}


def test_the_page_shows_the_files_as_they_are(blocks: dict[str, str], repository: Path) -> None:
    shown = {path: (repository / path).read_text() for path in blocks}
    assert blocks == shown
    names = {path.removeprefix(f"{EXAMPLE}/") for path in blocks}
    modules = {it.name for it in (repository / EXAMPLE / "skymill_example").glob("[a-z]*.py")}
    files = {it.name for it in (repository / EXAMPLE).iterdir() if it.is_file()}
    assert names == files | {f"skymill_example/{name}" for name in modules}


def test_every_code_of_the_example_is_an_entry_point(blocks: dict[str, str]) -> None:
    text = blocks["examples/extending/pyproject.toml"]
    named = set(re.findall(r'"(skymill_example\.[\w:.]+)"', text))
    config = yaml.safe_load(blocks["examples/extending/skymill.yaml"])
    assert set(re.findall(r"skymill_example\.\w+:\w+", str(config))) == named


def test_the_example_passes_the_check(repository: Path) -> None:
    config = load_config(str(repository / EXAMPLE / "skymill.yaml"))
    assert missing_extensions(config) == []
    check_extensions(config)


def test_changed_code_changes_the_nodes_that_run_it(repository: Path) -> None:
    config = load_config(str(repository / EXAMPLE / "skymill.yaml"))
    keys = ("train.model.build", "evaluation.metrics.0.call", "gates.0.call")

    def properties(version: str) -> dict[str, Any]:
        inputs = RunInputs("", "", code=dict.fromkeys(keys, version))
        return {node.id: node.exec_properties for node in pipeline_nodes(config, inputs)}

    old, new = properties("1.0"), properties("1.1")
    changed = {name for name in old if old[name] != new[name]}
    assert changed - {"Baseline"} == {"Trainer", "Evaluation", "OwnGates"}  # it is never cached


@pytest.mark.slow
def test_the_package_is_installed_as_in_an_image_and_named_by_its_entry_points(
    blocks: dict[str, str], repository: Path, tmp_path: Path
) -> None:
    [install] = re.findall(
        r"^RUN python3 -m (pip .*) /build$", blocks[f"{EXAMPLE}/Dockerfile"], re.M
    )
    source, own = tmp_path / "build", tmp_path / "own"
    shutil.copytree(repository / EXAMPLE, source)
    words = [str(own) if word == "/opt/own" else word for word in install.split()]
    subprocess.run([sys.executable, "-m", *words, str(source)], check=True, capture_output=True)
    config = tmp_path / "skymill.yaml"
    config.write_text(
        re.sub(r"skymill_example\.\w+:(\w+)", _entry_point, blocks[f"{EXAMPLE}/skymill.yaml"])
    )
    (tmp_path / "images").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "config", "check", str(config)],
        env={**os.environ, "PYTHONPATH": f"{repository}{os.pathsep}{own}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "not checked" not in done.stdout + done.stderr


def _entry_point(code: re.Match[str]) -> str:
    """Returns the name under which the package registers a function or class."""
    return {"ConfusionCost": "confusion_cost", "MeanCost": "mean_cost"}.get(code[1], code[1])


@pytest.mark.slow
def test_the_example_runs_and_its_gate_blocks(
    repository: Path, tmp_path: Path, run_config: Any
) -> None:
    random = np.random.default_rng(5)
    (tmp_path / "images").mkdir()
    for place in range(20):
        for name, colour in CLASSES.items():
            pixels = np.array(colour) + random.normal(0, 20, (32, 32, 3))
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(tmp_path / "images" / f"p{place}_{name}_1.png")
    example = repository / EXAMPLE / "skymill.yaml"
    gates = yaml.safe_load(example.read_text())["gates"]
    gates[0]["arguments"] = {"most_behind": 1}  # whatever so short a training has learnt
    done, summary = run_config(example, tmp_path, gates=gates, evaluation={"thresholds": []})
    assert done.returncode == 0, done.stderr[-3000:]
    assert summary["pushed_version"] is not None
    [gate] = [gate for gate in summary["gates"] if gate["gate"] == "own"]
    assert [finding["subject"] for finding in gate["findings"]] == ["soil", "water", "wood"]

    gates[0]["arguments"] = {"most_behind": -1}
    done, summary = run_config(example, tmp_path, gates=gates, evaluation={"thresholds": []})
    assert done.returncode == 3
    states = summary["nodes"]
    assert states["Trainer"] == "cached"
    assert states["StopOnOwnGates"] == "stopped"
