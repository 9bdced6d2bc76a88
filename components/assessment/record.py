"""Folder of a sample: its design for the software, its units for the people who label.

`design.json` holds what the estimates need and analysts should not see: the stratum and the mapped
class of each unit. `labels.csv` and `labels.geojson` hold only the units, in random order;
analysts fill in the labels of either.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, ValidationError

from components.assessment.estimators import LabelledSample
from components.raster.documents import read_json, table_rows
from components.raster.errors import DataError
from components.raster.frozen import Frozen
from components.raster.library_errors import translated
from components.raster.strict_json import strict_json
from components.raster.text import composed, decoded

DESIGN_FILE, TABLE_FILE, GEOJSON_FILE = "design.json", "labels.csv", "labels.geojson"
_COLUMNS = ("id", "longitude", "latitude", "x", "y", "row", "column", "label")


class Unit(Frozen):
    """One pixel of a sample.

    Attributes:
        id: number in the list, from 1.
        row: of the map, from 0.
        column: of the map, from 0.
        x: map coordinates of its centre.
        y: see x.
        longitude: degrees; None for a map without a CRS.
        latitude: see longitude.
        stratum: index.
        mapped: index of the class that the map gives.
    """

    id: Annotated[int, Field(ge=1)]
    row: int
    column: int
    x: float
    y: float
    longitude: float | None
    latitude: float | None
    stratum: Annotated[int, Field(ge=0)]
    mapped: Annotated[int, Field(ge=0)]


class Design(Frozen):
    """A drawn sample.

    Attributes:
        map: path of the map.
        crs: of the map; None if it has none.
        classes: name of each class, by index.
        pixels: mapped pixels of each class.
        area_ha: mapped hectares of each class on the ground; None without a CRS.
        strata: name of each stratum.
        population: pixels of each stratum.
        seed: of the draw.
        units: in the order of their ids.
    """

    map: str
    crs: str | None
    classes: tuple[str, ...]
    pixels: tuple[int, ...]
    area_ha: tuple[float, ...] | None
    strata: tuple[str, ...]
    population: tuple[int, ...]
    seed: int
    units: tuple[Unit, ...]


def write_design(folder: Path, design: Design) -> None:
    """Writes a sample into a new folder.

    Raises:
        DataError: the folder already holds a sample, whose labels would be lost.
    """
    if any((folder / name).exists() for name in (DESIGN_FILE, TABLE_FILE, GEOJSON_FILE)):
        raise DataError(f"{folder} holds a sample already: name another folder, or remove it.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TABLE_FILE).write_text(_table(design.units), encoding="utf-8", newline="")
    if design.crs is not None:
        (folder / GEOJSON_FILE).write_text(_geojson(design.units), encoding="utf-8")
    (folder / DESIGN_FILE).write_text(strict_json(design.model_dump(), indent=1), encoding="utf-8")


def read_design(folder: Path) -> Design:
    """Reads a sample's design.

    Raises:
        DataError: there is none, or it was edited by hand.
    """
    path = folder / DESIGN_FILE
    if not path.exists():
        raise DataError(f"{folder} holds no sample: draw one with `skymill assess sample`.")
    with translated(lambda why: DataError(f"{path} cannot be read: {why}.")):
        document = read_json(str(path))
    try:
        return Design.model_validate(document)
    except ValidationError as error:
        why = error.errors()[0]["msg"]
        raise DataError(f"{path} is not a design of a sample: {why}.") from error


def read_labels(path: Path, design: Design) -> dict[int, str]:
    """Reads the labels of a sample from a CSV table or GeoJSON; empty ones are left out.

    Raises:
        DataError: an id is unknown or has two labels, or the file has no ids and labels.
    """
    with translated(lambda why: DataError(f"{path} cannot be read: {why}."), document=True):
        text = decoded(path.read_bytes())
        rows = _features(path) if path.suffix.lower() in (".geojson", ".json") else _rows(text)
    if not rows:
        raise DataError(f"{path} holds no units.")
    known = {unit.id for unit in design.units}
    labels: dict[int, str] = {}
    for row in rows:
        if "id" not in row or "label" not in row:
            raise DataError(
                f"{path} needs a column `id` and a column `label`, with commas between columns: it "
                f"has {', '.join(map(repr, row))}."
            )
        number, label = _number(row["id"]), composed(str(row["label"] or "")).strip()
        if number not in known:
            raise DataError(f"{path} labels unit {row['id']!r}, which is not of this sample.")
        if label and labels.setdefault(number, label) != label:
            raise DataError(f"{path} gives unit {number} two labels: {labels[number]} and {label}.")
    return labels


def labels_in(folder: Path, design: Design) -> dict[int, str]:
    """Reads the labels of a sample's folder, from the table and the GeoJSON together.

    Raises:
        DataError: neither file is there, one cannot be read, or they contradict each other.
    """
    paths = [path for name in (TABLE_FILE, GEOJSON_FILE) if (path := folder / name).exists()]
    if not paths:
        raise DataError(f"{folder} has no {TABLE_FILE}: name the file of labels with --labels.")
    labels: dict[int, str] = {}
    for path in paths:
        for number, label in read_labels(path, design).items():
            if labels.setdefault(number, label) != label:
                raise DataError(
                    f"{folder} has two labels of unit {number}: {labels[number]} in {TABLE_FILE} "
                    f"and {label} in {path.name}. Correct one, or name the right file with "
                    "--labels."
                )
    return labels


def labelled_sample(
    design: Design, labels: Mapping[int, str], *, incomplete: bool = False
) -> tuple[LabelledSample, tuple[int, ...]]:
    """Joins a sample with its labels.

    Args:
        design: of the sample.
        labels: by id: a class by name, or by its index where no class has that name.
        incomplete: leave out units without a label, as if they were missing at random.

    Returns:
        The labelled units as a sample, and their ids.

    Raises:
        DataError: a label is not a class, or units have no label.
    """
    missing = [unit.id for unit in design.units if unit.id not in labels]
    if missing and not incomplete:
        raise DataError(
            f"{len(missing)} of {len(design.units)} units have no label (such as {missing[0]}). "
            "Label them, or take what there is with --incomplete, which holds only if units were "
            "left out by chance and not because they were hard to label."
        )
    units = [unit for unit in design.units if unit.id in labels]
    if not units:
        raise DataError("No unit has a label.")
    reference = [_class_index(labels[unit.id], unit.id, design.classes) for unit in units]
    sample = LabelledSample(
        population=np.array(design.population, np.int64),
        stratum=np.array([unit.stratum for unit in units], np.int64),
        mapped=np.array([unit.mapped for unit in units], np.int64),
        reference=np.array(reference, np.int64),
        strata=design.strata,
    )
    return sample, tuple(unit.id for unit in units)


def _class_index(label: str, unit: int, classes: Sequence[str]) -> int:
    if label in classes:
        return classes.index(label)
    if 0 <= (index := _number(label, missing=-1)) < len(classes):
        return index
    raise DataError(
        f"unit {unit} has the label {label!r}, not a class of the map: {', '.join(classes)}."
    )


def _table(units: Sequence[Unit]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({**unit.model_dump(), "label": ""} for unit in units)
    return out.getvalue()


def _geojson(units: Sequence[Unit]) -> str:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [unit.longitude, unit.latitude]},
            "properties": {"id": unit.id, "label": ""},
        }
        for unit in units
    ]
    return strict_json({"type": "FeatureCollection", "features": features}, indent=1)


def _features(path: Path) -> list[dict[str, Any]]:
    return [feature["properties"] for feature in read_json(str(path))["features"]]


def _rows(text: str) -> list[dict[str, Any]]:
    return list(table_rows(text.splitlines(keepends=True)))


def _number(value: object, missing: int = 0) -> int:
    """Reads an integer; some programs save 1 in a table as 1.0."""
    try:
        number = float(str(value))
    except ValueError:
        return missing
    return int(number) if number.is_integer() else missing
