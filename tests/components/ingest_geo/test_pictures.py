"""Output of `skymill splits` and `skymill look`, on synthetic scenes and real chips."""

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from rasterio.transform import from_origin

from components.ingest.config import IngestConfig
from components.ingest.look import look
from components.ingest.sources import survey
from components.raster.errors import ConfigError
from components.raster.pictures.stretch import NODATA_RGB
from pipelines.cli.main import cli
from tests.components.ingest.conftest import picture


@pytest.fixture
def config_of(tmp_path):
    """Writes a whole configuration around a tree of ingest; gives its path."""

    def write(ingest):
        tree = {"name": "made", "ingest": ingest, "push": {"model_dir": "models"}}
        path = tmp_path / "made.yaml"
        path.write_text(yaml.safe_dump(tree))
        return str(path)

    return write


@pytest.fixture
def two_chips(write_raster, tmp_path):
    """A chip in each of two classes, 1,000 m apart, the second one half without data."""
    root = tmp_path / "chips"
    for number, name in enumerate(("land", "water")):
        pixels = np.random.default_rng(number).integers(1, 999, (20, 20, 1)).astype(np.uint16)
        if number:
            pixels[:10] = 0
        place = from_origin(500_000 + number * 1_200, 5_300_000, 10, 10)
        write_raster(pixels, str(root / name / "1.tif"), transform=place, nodata=0)
    source = {"kind": "chips", "uri": str(root)}
    given = {"by": "date", "eval_from": "2020-01-01", "test_from": "2021-01-01"}
    return {"source": source, "image": {"bands": ["B1"]}, "split_by": given}, root


def invoke(*arguments):
    outcome = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome


def test_the_distance_between_train_and_test_is_reported(config_of, two_chips, tmp_path):
    tree, root = two_chips
    manifest = tmp_path / "chips.csv"
    manifest.write_text(
        f"uri,label,split\n{root}/land/1.tif,land,train\n{root}/water/1.tif,water,test\n"
    )
    source = {"kind": "chips", "uri": str(manifest), "columns": {"split": "split"}}
    path = config_of({**tree, "source": source})
    target = tmp_path / "map.png"
    facts = json.loads(invoke("splits", "-c", path, "--json", "-o", str(target)).stdout)
    # 1,200 m from corner to corner less a chip's 200 m; UTM is true to scale within 0.04 %.
    assert facts["nearest_train_test_m"] == pytest.approx(1_000, rel=5e-4)
    assert facts["images"] == {"train": 1, "test": 1}
    assert facts["classes"] == {"land": {"train": 1}, "water": {"test": 1}}
    assert facts["touching_pairs"] == facts["overlapping_pairs"] == 0
    colours = {colour for _, colour in Image.open(target).convert("RGB").getcolors(1 << 20)}
    assert {(0, 114, 178), (0, 158, 115)} <= colours
    text = invoke("splits", "-c", path).stdout
    assert "land is absent from eval" in text
    assert "nearest train and test tiles: 1,000 m" in text


def test_photographs_have_counts_alone(config_of, tmp_path):
    for number in range(12):
        path = tmp_path / "data" / ("a", "b")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    path = config_of({"source": {"kind": "folders", "uri": str(tmp_path / "data")}})
    facts = json.loads(invoke("splits", "-c", path, "--json").stdout)
    assert sum(facts["images"].values()) == 12
    assert facts["nearest_train_test_m"] is None
    assert "nearest" not in invoke("splits", "-c", path).stdout
    target = tmp_path / "look.png"
    invoke("look", "-c", path, "-o", str(target), "--count", "6")
    assert Image.open(target).width > 6 * 128


def test_classes_of_scenes_are_counted_before_ingest(run, write_raster, tmp_path):
    pixels = np.arange(1, 64 * 64 + 1, dtype=np.uint16).reshape(64, 64, 1)
    path = write_raster(pixels, str(tmp_path / "scenes" / "one.tif"))
    mask = np.ones((64, 64), np.uint8)
    mask[:, 40:] = 2
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "one.png")
    legend = {"values": {1: "land", 2: "water"}}
    labels = {"kind": "masks", "folder": str(tmp_path / "masks"), "legend": legend}
    source = {"kind": "scenes", "uri": str(path), "tiling": {"size_px": 16}, "labels": labels}
    tree = {
        "source": {**source, "target": {"to": "mask"}},
        "image": {"bands": ["B1"]},
        "split_by": {"by": "tile", "insist": True},
    }
    report = survey(IngestConfig.model_validate(tree)).report
    summary = run(tree).summary
    for name in ("land", "water"):
        for split in ("train", "eval", "test"):
            found = report.classes[name].get(split, 0)
            assert found == summary.examples[split].get(name, 0)
    assert report.leaks.touching > 0


def test_rejects_and_missing_data_are_seen(config_of, two_chips, tmp_path):
    tree, root = two_chips
    (root / "land" / "bad.tif").write_text("this is not a raster")
    tree = {**tree, "split_by": None}
    target = tmp_path / "look.png"
    path = config_of(tree)
    facts = json.loads(invoke("splits", "-c", path, "--json").stdout)
    assert facts["rejects"] == {"unreadable": 1}
    assert "1 rejects, such as land/bad.tif: unreadable" in invoke("splits", "-c", path).stdout
    invoke("look", "-c", path, "-o", str(target), "--side", "40")
    seen = np.asarray(Image.open(target))
    # Two chips, the mask of one, and a reject: four pictures in a row.
    assert seen.shape[1] == 4 * 46 + 6
    magenta = (seen == NODATA_RGB).all(axis=2).sum()
    assert magenta == 40 * 20
    assert (seen == (220, 40, 40)).all(axis=2).any()


def test_tiles_over_a_scene_show_which_are_left_out(config_of, write_raster, tmp_path):
    pixels = np.arange(1, 128 * 128 + 1, dtype=np.uint16).reshape(128, 128, 1)
    path = write_raster(pixels, str(tmp_path / "scenes" / "one.tif"))
    source = {"kind": "scenes", "uri": str(path), "tiling": {"size_px": 16}}
    block = {"by": "block", "block_m": 400}
    config = config_of({"source": source, "image": {"bands": ["B1"]}, "split_by": block})
    target = tmp_path / "tiles.png"
    invoke("look", "-c", config, "--tiles", "-o", str(target))
    seen = np.asarray(Image.open(target))
    assert seen.shape == (128, 128, 3)
    tiles = seen[::16, ::16]  # the upper left pixel of each tile is on its outline
    yellow = (tiles == (255, 220, 0)).all(axis=2)
    red = (tiles == (220, 40, 40)).all(axis=2)
    assert (yellow | red).all()
    assert (
        red.sum()
        == json.loads(invoke("splits", "-c", config, "--json").stdout)["left_out"]["at_border"]
    )


def test_a_band_that_is_not_there_is_named(two_chips):
    from components.ingest.look import look

    tree, _ = two_chips
    config = IngestConfig.model_validate({**tree, "split_by": None})
    with pytest.raises(ConfigError, match="no band 'B9'; there are B1"):
        look(config, bands=["B9"])


def test_looking_at_rasters_loads_no_tensorflow(config_of, two_chips, tmp_path):
    tree, _ = two_chips
    path = config_of({**tree, "split_by": None})
    code = (
        "import sys\n"
        "from pipelines.cli.main import cli\n"
        f"cli(['look', '-c', {path!r}, '-o', {str(tmp_path / 'x.png')!r}], standalone_mode=False)\n"
        f"cli(['splits', '-c', {path!r}], standalone_mode=False)\n"
        "assert not {'tensorflow', 'apache_beam', 'tfx'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("fit", "columns"),
    [("stretch", "rrrrbbbb"), ("crop", "rrrrbbbb"), ("pad", "rrrrbbbb")],
)
def test_a_photograph_is_shown_as_it_lies_in_the_models_image(tmp_path, fit, columns):
    wide = np.zeros((32, 64, 3), np.uint8)
    wide[:, :32] = (250, 0, 0)
    wide[:, 32:] = (0, 0, 250)
    (tmp_path / "a").mkdir()
    Image.fromarray(wide).save(tmp_path / "a" / "1.png")
    image = {"height_px": 16, "width_px": 16, "fit": fit}
    tree = {"source": {"kind": "folders", "uri": str(tmp_path)}, "image": image}
    sheet = np.asarray(look(IngestConfig.model_validate(tree), count=1, side_px=64))
    shown = sheet[6:70, 6:70]
    names = {(250, 0, 0): "r", (0, 0, 250): "b"}
    middle = "".join(names[tuple(shown[32, at].tolist())] for at in range(4, 64, 8))
    assert middle == columns
    padding = (shown == NODATA_RGB).all(axis=2)
    assert padding.mean() == (0.5 if fit == "pad" else 0)  # 16 of the 32 rows that a square has
