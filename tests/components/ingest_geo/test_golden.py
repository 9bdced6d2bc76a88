"""Output of ingest for small sources, pinned byte for byte: a change of code changes no data.

Another fingerprint misses the cache and no longer matches the provenance of models; other bytes of
an example are other training data. Both are compared with `tests/golden/ingest.json`. The bytes
also depend on the encoders of the locked Pillow, GDAL and zlib. After an update of one of these,
or an intended change, write the file anew and review its difference:

    SKYMILL_WRITE_GOLDEN=1 .venv/bin/python -m pytest tests/components/ingest_geo/test_golden.py
"""

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.ingest.config import IngestConfig
from components.ingest.files import storage
from components.ingest.files.layout import blocks_of
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.look import look
from components.ingest.records.record import Listing
from components.ingest.shard import ShardPaths, ShardWriter, WrittenShard
from components.ingest.sources import family_of, list_source, survey
from tests.components.ingest_geo.conftest import SPLITS
from tests.components.ingest_geo.sources import KINDS, photograph, polygons

Tree = dict[str, Any]


def of_kind(kind: str, **source: Any) -> Callable[[Path], Tree]:
    """A source of `KINDS` with other options, and a file that cannot be read."""

    def make(root: Path) -> Tree:
        tree = KINDS[kind](root).tree
        tree["source"] |= source
        uri = Path(tree["source"].get("uri", root))
        folder = uri if uri.is_dir() else root
        folder = folder / "a" if (folder / "a").is_dir() else folder
        (folder / "broken.tif").write_bytes(b"II*\0broken")
        return tree

    return make


def of_shapes(target: Tree) -> Callable[[Path], Tree]:
    """Scenes with polygons of two classes that have numbers, and polygons that cannot be used."""

    def make(root: Path) -> Tree:
        tree = KINDS["scenes_shapes"](root).tree
        one = polygons(root / "one.geojson", [(0, 0, 40, 64), (0, 0, 9, 9)], name="one")
        document = json.loads(one.read_text())
        for at, (name, number) in enumerate((("two", 2.5), (None, 1), ("one", None))):
            box = [(40 + 100 * at, 0, 64 + 100 * at, 30)]
            more = polygons(root / "more.geojson", box, name=name, number=number)
            document["features"] += json.loads(more.read_text())["features"]
        one.write_text(json.dumps(document))
        labels = {"kind": "shapes", "path": str(one), "class_field": "name"}
        if target["to"] == "number" and target.get("rule") != "count":
            labels |= {"class_field": None, "number_field": "number"}
        tree["source"] |= {"labels": labels, "target": target}
        tree["split_by"] = {"by": "scene"}
        return tree

    return make


def of_table(suffix: str, *rows: tuple[str, ...], **columns: Any) -> Callable[[Path], Tree]:
    """A manifest with a header and rows, whose files are photographs or do not exist."""

    def make(root: Path) -> Tree:
        for number in range(6):
            photograph(root / f"{number}.png", number % 5)  # the last is a copy of the first
        path = root / f"table{suffix}"
        header, *others = rows
        with path.open("w", newline="") as file:
            if suffix == ".csv":
                csv.writer(file).writerows(rows)
            else:
                file.writelines(
                    json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in others
                )
        return {"source": {"kind": "manifest", "uri": str(path), "columns": columns}}

    return make


def chips_of_table(root: Path) -> Tree:
    """Chips that a manifest names, with numbers."""
    tree = KINDS["chips"](root).tree
    chips = sorted((root / "chips").rglob("*.tif"))
    rows = [f"{path.relative_to(root)},{number}\n" for number, path in enumerate(chips)]
    table = root / "chips.csv"
    table.write_text("".join(["uri,height\n", *rows, "missing.tif,1\n"]))
    tree["source"] |= {"uri": str(table), "columns": {"number": "height"}}
    return tree


SOURCES: dict[str, Callable[[Path], Tree]] = {
    **{kind: of_kind(kind) for kind in KINDS},
    "manifest_classes": of_table(
        ".csv",
        ("uri", "label", "split", "group", "site"),
        ("0.png", "a", "train", "", "7"),
        ("1.png", "b", "", "g", "8"),
        ("2.png", "a", "val", "", "9"),
        ("3.png", "", "", "", "9"),
        ("5.png", "a", "test", "", "9"),
        ("missing.png", "b", "never", "", "9"),
        ("gone.png", "b", "", "", "9"),
        split="split",
        group="group",
        slices=("site",),
    ),
    "manifest_several_classes": of_table(
        ".jsonl", ("uri", "of"), ("0.png", "a|b"), ("1.png", ""), ("2.png", "b"), labels="of"
    ),
    "manifest_numbers": of_table(
        ".csv", ("uri", "height"), ("0.png", "1.5"), ("1.png", "x"), ("2.png", "3"), number="height"
    ),
    "chips_manifest": chips_of_table,
    "masked_ignoring": of_kind(
        "masked", legend={"values": {2: "two"}}, undeclared="ignore", group_pattern="([0-9])"
    ),
    "masked_undeclared": of_kind("masked", legend={"values": {2: "two"}}),
    "scenes_shapes_class": of_shapes({"to": "class", "background": "none"}),
    "scenes_shapes_classes": of_shapes({"to": "classes"}),
    "scenes_shapes_number": of_shapes({"to": "number"}),
    "scenes_shapes_count": of_shapes({"to": "number", "rule": "count"}),
    "scenes_shapes_boxes": of_shapes({"to": "boxes"}),
    "scenes_shapes_mask": of_shapes({"to": "mask", "rule": "majority"}),
    "scenes_boxes_class": of_kind("scenes_boxes", target={"to": "class", "rule": "centre"}),
    "scenes_boxes_count": of_kind("scenes_boxes", target={"to": "number", "rule": "count"}),
    "scenes_masks_class": of_kind("scenes_masks", target={"to": "class"}),
    "scenes_class_raster_classes": of_kind("scenes_class_raster", target={"to": "classes"}),
}


def made(name: str, root: Path) -> Tree:
    """All that is pinned of a source, written without Beam, which takes most of a second."""
    config = IngestConfig.model_validate(SOURCES[name](root))
    listing = list_source(config)
    shards = written(config, listing, root / "output")
    rejects = [*listing.rejects, *(reject for shard in shards for reject in shard.rejects)]
    found = survey(config)
    return {
        "fingerprint": fingerprint_dataset(config.source, config.split_by),
        "classes": listing.classes,
        "examples": {
            split: [sha256(Path(shard.path(split)).read_bytes()) for shard in shards]
            for split in SPLITS
        },
        "digests": [sha256(shard.table.digests) for shard in shards],
        "rejects": {it.key: f"{it.reason}: {it.detail}".replace(str(root), "") for it in rejects},
        "ignored": sum((Counter(it.ignored) for it in (listing, *shards)), Counter()),
        "survey": [*found.report.text().split("\n"), *(str(it.reason) for it in found.rejects)],
        "look": sha256(look(config, count=8).tobytes()),
    }


def written(config: IngestConfig, listing: Listing, folder: Path) -> list[WrittenShard]:
    """The shards of a listing, as one worker writes them."""
    shards = 2
    lines = list(family_of(config.source).lines(listing, shards))
    paths = ShardPaths(*(str(folder / name) for name in ("examples", "rejects", "partial")), shards)
    storage.make_folder(paths.partial)
    storage.write(paths.listing, b"".join(lines))
    writer = ShardWriter(config.model_dump_json(), listing.classes, paths)
    return [writer.write(block) for block in blocks_of(lines)]


def sha256(data: bytes) -> str:
    """A digest in hex."""
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", SOURCES)
def test_code_changes_no_data(repository: Path, tmp_path: Path, name: str) -> None:
    path = repository / "tests/golden/ingest.json"
    golden = json.loads(path.read_text()) if path.exists() else {}
    found = json.loads(json.dumps(made(name, tmp_path)))
    if os.environ.get("SKYMILL_WRITE_GOLDEN"):
        path.write_text(json.dumps(golden | {name: found}, indent=1, sort_keys=True) + "\n")
    else:
        assert found == golden[name]
