"""`skymill assess` from a synthetic map and truth to figures, as a user runs it."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner, Result
from PIL import Image

from components.raster.errors import SkymillError
from pipelines.cli.assess import command

UTM = Affine(10, 0, 500_000, 0, -10, 5_000_000)
NAMES = ("forest", "water", "town")
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, values: np.ndarray, *, nodata: float | None = 255, **more: Any) -> Path:
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "height": values.shape[0],
            "width": values.shape[1],
            "count": 1,
            "dtype": values.dtype,
            "crs": "EPSG:32633",
            "transform": UTM,
            "nodata": nodata,
        } | more
        path = tmp_path / name
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.write(values, 1)
        return path

    return written


def truth_and_map() -> tuple[np.ndarray, np.ndarray]:
    """A truth of three classes, and a map that is wrong on a tenth of it, with a nodata margin."""
    random = np.random.default_rng(7)
    truth = np.zeros((700, 900), np.uint8)
    truth[:, 500:] = 1
    truth[600:, :100] = 2
    wrong = random.random(truth.shape) < 0.1
    mapped = np.where(wrong, (truth + 1) % 3, truth).astype(np.uint8)
    mapped[:50] = 255
    return truth, mapped


def assess(*arguments: object) -> Result:
    result = CliRunner().invoke(command, [str(it) for it in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def label(folder: Path, truth: np.ndarray, names: tuple[str, ...] = NAMES) -> None:
    """Labels every unit with the truth, as a person would who makes no mistake."""
    path = folder / "labels.csv"
    rows = list(csv.DictReader(path.open()))
    for row in rows:
        row["label"] = names[truth[int(row["row"]), int(row["column"])]]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def labelled_sample(folder: Path, write: Write) -> Path:
    """Draws 60 units of a map, labels each, and returns the folder."""
    truth, mapped = truth_and_map()
    names = ("--classes", ",".join(NAMES))
    assess("sample", write("map.tif", mapped), "-o", folder, *names, "--size", 60, "--minimum", 2)
    label(folder, truth)
    return folder


def test_estimates_of_a_labelled_sample_cover_the_truth(tmp_path: Path, write: Write) -> None:
    truth, mapped = truth_and_map()
    source = write("map.tif", mapped)
    folder = tmp_path / "sample"
    assess("sample", source, "-o", folder, "--classes", ",".join(NAMES), "--size", 900)
    label(folder, truth)
    facts = json.loads(assess("report", folder, "--json").output)
    known = mapped != 255
    assert abs(facts["overall"]["value"] - (truth == mapped)[known].mean()) < 0.04
    for index, row in enumerate(facts["classes"]):
        hectares = (truth == index)[known].sum() / 100  # pixels of 10 m
        # UTM's scale makes areas at the central meridian 0.08 % larger on the ground.
        assert abs(row["area_ha"]["value"] - hectares) < 2 * row["area_ha"]["plus_minus"]
        assert row["mapped_ha"] == pytest.approx((mapped == index).sum() / 100, rel=1e-3)
    text = assess("report", folder).output
    assert "error-adjusted area" in text
    assert "town" in text


def test_a_census_gives_the_truth_itself(tmp_path: Path, write: Write) -> None:
    truth = np.array([[0, 0, 1], [1, 1, 1]], np.uint8)
    mapped = np.array([[0, 1, 1], [1, 0, 1]], np.uint8)
    folder = tmp_path / "sample"
    source = write("map.tif", mapped)
    assess("sample", source, "-o", folder, "--classes", "a,b", "--size", 6, "--minimum", 6)
    label(folder, truth, ("a", "b"))
    facts = json.loads(assess("report", folder, "--json").output)
    assert facts["overall"]["value"] == pytest.approx(4 / 6)
    assert [row["share"]["value"] for row in facts["classes"]] == pytest.approx([2 / 6, 4 / 6])
    assert facts["counts"] == [[1, 1], [1, 3]]


def test_a_sample_larger_than_asked_says_why(tmp_path: Path, write: Write) -> None:
    _, mapped = truth_and_map()
    source = write("map.tif", mapped)
    names = ("--classes", ",".join(NAMES))
    found = assess("sample", source, "-o", tmp_path / "sample", *names, "--size", 20)
    assert f"{50 * len(NAMES)} units, more than 20: each stratum gets at least" in found.output
    found = assess("sample", source, "-o", tmp_path / "more", *names, "--size", 500)
    assert "500 units: " in found.output


def test_labels_are_given_blind_and_their_places_are_right(tmp_path: Path, write: Write) -> None:
    _, mapped = truth_and_map()
    folder = tmp_path / "sample"
    image = write("image.tif", np.arange(700 * 900, dtype=np.uint16).reshape(700, 900), nodata=None)
    assess("sample", write("map.tif", mapped), "-o", folder, "--classes", ",".join(NAMES),
           "--size", 60, "--minimum", 10, "--image", image)  # fmt: skip
    design = json.loads((folder / "design.json").read_text())
    units = design["units"]
    for file in ("labels.csv", "labels.geojson"):
        assert "mapped" not in (folder / file).read_text()
        assert "stratum" not in (folder / file).read_text()
    for unit in units:
        assert mapped[unit["row"], unit["column"]] == unit["mapped"]
        assert unit["x"] == 500_000 + 10 * (unit["column"] + 0.5)
        assert unit["y"] == 5_000_000 - 10 * (unit["row"] + 0.5)
    assert len({(unit["row"], unit["column"]) for unit in units}) == len(units)
    # Units are not sorted by stratum: the first ten hold several.
    assert len({unit["stratum"] for unit in units[:10]}) > 1
    with Image.open(folder / "answers" / f"{units[0]['id']:05}.png") as picture:
        assert picture.size == (512, 512)
        middle = picture.getpixel((256 + 4, 256 + 4))
    colours = {"forest": (230, 159, 0), "water": (86, 180, 233), "town": (0, 158, 115)}
    assert middle == colours[NAMES[units[0]["mapped"]]]
    assert len(list((folder / "images").iterdir())) == len(units)


def test_the_same_seed_draws_the_same_sample(tmp_path: Path, write: Write) -> None:
    _, mapped = truth_and_map()
    plain = write("map.tif", mapped)
    tiled = write("tiled.tif", mapped, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    drawn = []
    for name, source, seed in (("a", plain, 3), ("b", tiled, 3), ("c", plain, 4)):
        folder = tmp_path / name
        assess("sample", source, "-o", folder, "--classes", ",".join(NAMES), "--seed", seed)
        drawn.append((folder / "labels.csv").read_text())
    assert drawn[0] == drawn[1] != drawn[2]


def test_every_pixel_of_a_stratum_is_drawn_as_often() -> None:
    from components.assessment.sampling import count_strata, draw

    strata = np.array([[0, 1, 0], [1, 0, -1], [0, 1, 1]])

    def strips() -> Any:
        yield 0, strata[:1]
        yield 1, strata[1:]

    population = count_strata(strips, 2)
    assert population.tolist() == [4, 4]
    drawn = np.zeros((3, 3))
    for seed in range(2000):
        pixels = draw(strips, population, np.array([2, 1]), seed)
        assert (strata[pixels.rows, pixels.cols] == pixels.stratum).all()
        drawn[pixels.rows, pixels.cols] += 1
    # Expected 1000 and 500 times; four standard deviations are 90 and 78.
    assert np.abs(drawn[strata == 0] - 1000).max() < 90
    assert np.abs(drawn[strata == 1] - 500).max() < 78
    assert drawn[strata == -1] == 0


@pytest.mark.parametrize("strata", ["confidence", "block", "none"])
def test_other_strata_give_the_same_answer(tmp_path: Path, write: Write, strata: str) -> None:
    truth, mapped = truth_and_map()
    source = write("map.tif", mapped)
    confidence = np.where(mapped == truth, 240, 120).astype(np.uint8)
    path = write("confidence.tif", confidence)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = (1 / 255,)
    folder = tmp_path / "sample"
    assess("sample", source, "-o", folder, "--classes", ",".join(NAMES), "--strata", strata,
           "--confidence", path, "--block-px", 300, "--size", 800, "--minimum", 20)  # fmt: skip
    label(folder, truth)
    facts = json.loads(assess("report", folder, "--json").output)
    found, known = facts["overall"], mapped != 255
    assert abs(found["value"] - (truth == mapped)[known].mean()) <= 2 * found["plus_minus"] + 1e-9
    if strata == "confidence":
        # This confidence separates right from wrong exactly, so that nothing is left to chance.
        assert found["plus_minus"] == pytest.approx(0, abs=1e-9)


def test_the_better_of_two_maps_is_found(tmp_path: Path, write: Write) -> None:
    truth, mapped = truth_and_map()
    source, other = write("map.tif", mapped), write("better.tif", truth)
    folder = tmp_path / "sample"
    assess("sample", source, "-o", folder, "--classes", ",".join(NAMES), "--size", 500)
    label(folder, truth)
    facts = json.loads(
        assess("compare", folder, other, "--classes", ",".join(NAMES), "--json").output
    )
    assert facts["first_only"] == 0 < facts["second_only"]
    assert facts["p_value"] == pytest.approx(2 / 2 ** facts["second_only"])
    assert facts["difference"]["value"] == pytest.approx(-0.1, abs=0.05)


def test_least_sure_blocks_come_first(tmp_path: Path, write: Write) -> None:
    values = np.full((100, 150), 0.9, np.float32)
    values[50:, 100:] = 0.3
    values[:50, :50] = np.nan
    path, output = write("confidence.tif", values, nodata=None), tmp_path / "unsure.geojson"
    found = json.loads(
        assess("unsure", path, "--block-px", 50, "--count", 2, "--json", "-o", output).output
    )
    assert (found[0]["row"], found[0]["column"]) == (50, 100)
    assert found[0]["confidence"] == pytest.approx(0.3)
    assert found[0]["pixels"] == 2500
    ring = json.loads(output.read_text())["features"][0]["geometry"]["coordinates"][0]
    # 100 columns of 10 m east of the central meridian at 15 degrees.
    assert ring[0] == ring[-1]
    assert min(point[0] for point in ring) > 15.01


def test_faults_are_named(tmp_path: Path, write: Write) -> None:
    _, mapped = truth_and_map()
    source, folder = write("map.tif", mapped), tmp_path / "sample"

    def fails(match: str, *arguments: object) -> None:
        with pytest.raises(SkymillError, match=match):
            assess(*arguments)

    names = ("--classes", ",".join(NAMES))
    fails("does not name its classes", "sample", source, "-o", folder)
    fails("has the value 2, but the map has 2 classes", "sample", source, "-o", folder,
          "--classes", "a,b")  # fmt: skip
    fails("cannot be read", "sample", tmp_path / "absent.tif", "-o", folder, *names)
    fails("needs? the raster of confidence", "sample", source, "-o", folder, *names,
          "--strata", "confidence")  # fmt: skip
    fails("holds no sample", "report", folder)
    assess("sample", source, "-o", folder, *names, "--size", 150)
    fails("holds a sample already", "sample", source, "-o", folder, *names)
    fails("units have no label", "report", folder)
    table = (folder / "labels.csv").read_text()
    first = next(line for line in table.splitlines() if line.startswith("1,"))
    (folder / "labels.csv").write_text(table.replace(first, f"{first}meadow"))
    fails("unit 1 has the label 'meadow', not a class", "report", folder, "--incomplete")
    (folder / "labels.csv").write_text(f"{table}{first}forest\n{first}water\n")
    fails("two labels", "report", folder)
    (folder / "labels.csv").write_text(table.replace(first, first.replace("1,", "9999,", 1)))
    fails("not of this sample", "report", folder)


def test_labels_are_taken_from_the_file_that_was_filled_in(tmp_path: Path, write: Write) -> None:
    truth, mapped = truth_and_map()
    folder = tmp_path / "sample"
    names = ("--classes", ",".join(NAMES))
    assess("sample", write("map.tif", mapped), "-o", folder, *names, "--size", 60, "--minimum", 2)
    table = (folder / "labels.csv").read_text()
    label(folder, truth)
    wanted = assess("report", folder).output
    labels = {row["id"]: row["label"] for row in csv.DictReader((folder / "labels.csv").open())}
    (folder / "labels.csv").write_text(table)  # without labels
    features = json.loads((folder / "labels.geojson").read_text())
    for feature in features["features"]:
        feature["properties"]["label"] = labels[str(feature["properties"]["id"])]
    (folder / "labels.geojson").write_text(json.dumps(features))
    assert assess("report", folder).output == wanted
    other = next(name for name in NAMES if name != labels["1"])
    first = next(line for line in table.splitlines() if line.startswith("1,"))
    (folder / "labels.csv").write_text(table.replace(first, f"{first}{other}"))
    with pytest.raises(SkymillError, match="two labels of unit 1"):
        assess("report", folder)


def test_tables_of_other_programs_are_read_or_refused_by_name(tmp_path: Path, write: Write) -> None:
    folder = labelled_sample(tmp_path / "sample", write)
    wanted = assess("report", folder).output
    rows = list(csv.DictReader((folder / "labels.csv").open()))
    # As a table of numbers with gaps is written.
    floats = [f"{it['id']}.0,{NAMES.index(it['label'])}.0" for it in rows]
    (folder / "labels.csv").write_text("\n".join(["id,label", *floats]))
    assert assess("report", folder).output == wanted
    (folder / "labels.csv").write_text("id;label\n1;forest\n")
    with pytest.raises(SkymillError, match="commas between columns: it has 'id;label'"):
        assess("report", folder)


def test_a_stratum_without_labels_is_named(tmp_path: Path, write: Write) -> None:
    folder = labelled_sample(tmp_path / "sample", write)
    towns = {
        it["id"]
        for it in json.loads((folder / "design.json").read_text())["units"]
        if it["mapped"] == NAMES.index("town")
    }
    lines = (folder / "labels.csv").read_text().splitlines(keepends=True)
    kept = [line for line in lines if line[0] == "i" or int(line.split(",")[0]) not in towns]
    (folder / "labels.csv").write_text("".join(kept))
    with pytest.raises(SkymillError, match="Strata town have fewer than two"):
        assess("report", folder, "--incomplete")


def test_a_map_whose_pixels_differ_in_area_is_refused(tmp_path: Path, write: Write) -> None:
    degrees = Affine(0.05, 0, 10, 0, -0.05, 60)
    source = write("map.tif", np.zeros((400, 100), np.uint8), crs="EPSG:4326", transform=degrees)
    with pytest.raises(SkymillError, match="equal-area CRS"):
        assess("sample", source, "-o", tmp_path / "sample", "--classes", "a")


def test_areas_are_those_of_the_ground_in_web_mercator(write: Write) -> None:
    from components.assessment.class_map import extent_of, open_class_map

    # At 60 degrees north a metre of Web Mercator measures half a metre on the ground.
    place = Affine(10, 0, 1_000_000, 0, -10, 8_399_737.9)
    source = write("map.tif", np.zeros((100, 100), np.uint8), crs="EPSG:3857", transform=place)
    area = extent_of(open_class_map(source, ("a",))).area_m2
    assert area is not None
    assert area[0] / 1e6 == pytest.approx(0.25, rel=0.01)
