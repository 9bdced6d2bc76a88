"""Checks before a run: its inputs exist, and its outputs can be written."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from components.raster.errors import ConfigError
from pipelines.cli.config import check
from pipelines.config.tree import PipelineConfig, load_config, parse_config
from pipelines.definition.required_paths import input_paths, require_inputs
from pipelines.definition.written_folders import require_writable, written_folders
from pipelines.local.execute import execute
from tests.own_disk import with_own_disk

LEGEND = {"values": {1: "water"}}


def photographs(**source: Any) -> dict[str, Any]:
    return {
        "name": "land",
        "ingest": {"source": {"kind": "folders", "uri": "images", **source}},
        "push": {"model_dir": "models"},
    }


def scenes(**source: Any) -> dict[str, Any]:
    tree = photographs(kind="scenes", uri="scenes", **source)
    tree["ingest"]["image"] = {"bands": ["red"]}
    return tree


def trained(**model: Any) -> dict[str, Any]:
    return photographs() | {"train": {"model": model}}


CASES = [
    (photographs(), "ingest.source.uri: no folder {}/images"),
    (
        photographs(kind="manifest", uri="m.csv", columns={"label": "class"}),
        "ingest.source.uri: no file {}/m.csv",
    ),
    (
        photographs(kind="masked", masks="masks", legend=LEGEND),
        "ingest.source.masks: no folder {}/masks",
    ),
    (
        photographs(kind="boxed", boxes={"path": "boxes.json"}),
        "ingest.source.boxes.path: no file or folder {}/boxes.json",
    ),
    (scenes(), "ingest.source.uri: no file or folder {}/scenes"),
    (scenes(area="area.geojson"), "ingest.source.area: no file {}/area.geojson"),
    (
        scenes(labels={"kind": "shapes", "path": "roofs.gpkg"}),
        "ingest.source.labels.path: no file or folder {}/roofs.gpkg",
    ),
    (
        scenes(labels={"kind": "masks", "folder": "masks", "legend": LEGEND}),
        "ingest.source.labels.folder: no folder {}/masks",
    ),
    (
        trained(kind="backbone", weights="w.h5"),
        "train.model.weights: no file {}/w.h5",
    ),
    (
        trained(kind="preset", preset="./net"),
        "train.model.preset is '{}/net', which lacks config.json and image_converter.json",
    ),
]


@pytest.mark.parametrize(("tree", "message"), CASES)
def test_what_is_not_there_is_named_by_the_check_and_before_a_run(
    tree: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("skymill.yaml").write_text(yaml.safe_dump(tree))
    raised = CliRunner().invoke(check, []).exception
    assert isinstance(raised, ConfigError)
    assert message.format(tmp_path) in str(raised)
    record = execute(load_config("skymill.yaml"), "skymill.yaml")
    assert record.outcome == "failed"
    assert message.format(tmp_path) in record.reason


def test_all_that_is_missing_is_named_at_once_and_nothing_where_all_is_there(
    tmp_path: Path,
) -> None:
    tree = scenes(
        area="area.geojson", labels={"kind": "masks", "folder": "masks", "legend": LEGEND}
    )
    tree["ingest"]["split_by"] = {"by": "area", "path": "splits.geojson"}
    config = parse_config(tree, str(tmp_path))
    with pytest.raises(ConfigError) as raised:
        require_inputs(config)
    keys = [line.strip().partition(":")[0] for line in str(raised.value).splitlines()[1:5]]
    assert keys == [place.key for place in input_paths(config)]
    (tmp_path / "masks").mkdir()
    for name in ("scenes", "area.geojson", "splits.geojson"):
        (tmp_path / name).touch()
    require_inputs(config)


def test_a_remote_place_is_not_asked_for(tmp_path: Path) -> None:
    tree = photographs(kind="masked", uri="gs://b/images", masks="s3://b/m", legend=LEGEND)
    require_inputs(parse_config(tree, str(tmp_path)))


def test_a_pattern_of_spans_is_checked_at_the_span_that_a_run_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("7/images").mkdir(parents=True)
    tree = photographs(kind="masked", uri="{SPAN}/images", masks="{SPAN}/masks", legend=LEGEND)
    Path("skymill.yaml").write_text(yaml.safe_dump(tree))
    raised = CliRunner().invoke(check, []).exception
    assert f"no folder {tmp_path}/7/masks" in str(raised)


def configured(tmp_path: Path, **places: Any) -> PipelineConfig:
    (tmp_path / "file").touch()
    tree = photographs() | {"workspace": "skymill"} | places
    path = tmp_path / "skymill.yaml"
    path.write_text(yaml.safe_dump(tree))
    return load_config(str(path))


@pytest.mark.parametrize("place", ["file/below", "/proc/none", "/sys/none", "file"])
@pytest.mark.parametrize("name", ["workspace", "push.model_dir"])
def test_a_folder_that_cannot_be_written_is_reported_before_anything_is_read(
    name: str, place: str, tmp_path: Path
) -> None:
    given = {"workspace": place} if name == "workspace" else {"push": {"model_dir": place}}
    config = configured(tmp_path, **given)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"^{name}: .* cannot be written") as raised:
        execute(config, str(tmp_path / "skymill.yaml"))
    assert "\n" not in str(raised.value)


def test_the_output_of_predictions_is_tried_before_a_run_of_them(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    source = {"kind": "images", "uri": str(tmp_path)}
    config = configured(tmp_path, prediction={"source": source, "output": "file/below"})
    with pytest.raises(ConfigError, match=r"^prediction\.output: .* cannot be written"):
        execute(config, str(tmp_path / "skymill.yaml"), kind="prediction")


def test_nothing_stays_of_the_attempt_to_write(tmp_path: Path) -> None:
    config = configured(tmp_path)
    require_writable(written_folders(config))
    assert list((tmp_path / "models").iterdir()) == list((tmp_path / "skymill").iterdir()) == []


@pytest.mark.slow
def test_a_disk_that_is_mounted_read_only_is_reported_in_a_sentence(tmp_path: Path) -> None:
    configured(tmp_path)
    (tmp_path / "skymill").mkdir()
    command = with_own_disk(tmp_path / "skymill", "ro")
    done = subprocess.run(
        [*command, sys.executable, "-m", "pipelines.cli", "run", str(tmp_path / "skymill.yaml")],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"skymill: workspace: {tmp_path}/skymill cannot be written (Read-only file system). Name a "
        "folder that this user may write, on a disk that is not mounted read-only.\n"
    )
