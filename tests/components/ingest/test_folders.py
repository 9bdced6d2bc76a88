import os
import subprocess
import sys
from collections import Counter
from contextlib import nullcontext

import pytest

from components.ingest.config import IngestConfig
from components.ingest.listing.folders import list_folders
from components.ingest.photographs.config import FoldersSource
from components.ingest.sources import list_source
from components.raster.errors import DataError
from components.raster.reasons import Reason


def touch(root, *keys):
    for key in keys:
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def config(root, **options):
    return IngestConfig(source=FoldersSource(uri=str(root)), **options)


def test_the_first_folder_is_the_class_and_deeper_ones_are_part_of_the_key(tmp_path):
    touch(tmp_path, "river/b.jpg", "river/2020/a.PNG", "forest/c.jpeg")
    listing = list_source(config(tmp_path))
    assert [(record.key, record.label) for record in listing.records] == [
        ("forest/c.jpeg", "forest"),
        ("river/2020/a.PNG", "river"),
        ("river/b.jpg", "river"),
    ]
    assert listing.classes == ("forest", "river")
    assert listing.rejects == ()


def test_what_is_no_image_is_ignored_and_counted(tmp_path):
    touch(tmp_path, "a/x.jpg", "a/notes.txt", "a/more.TXT", "a/.hidden.jpg", "README.md", "a/raw")
    listing = list_source(config(tmp_path))
    assert [record.key for record in listing.records] == ["a/raw", "a/x.jpg"]
    assert listing.ignored == {".txt": 2, "(hidden)": 1, ".md": 1}


def test_images_in_formats_that_are_not_taken_are_not_passed_over(tmp_path):
    touch(tmp_path, "a/x.tif", "a/y.webp", "a/z.gif")
    assert len(list_source(config(tmp_path)).records) == 3


def test_an_image_beside_the_class_folders_is_a_reject(tmp_path):
    touch(tmp_path, "stray.jpg", "a/x.jpg")
    (reject,) = list_source(config(tmp_path)).rejects
    assert (reject.key, reject.reason) == ("stray.jpg", Reason.NO_LABEL)


def test_a_label_outside_the_configured_classes_is_a_reject(tmp_path):
    touch(tmp_path, "a/x.jpg", "b/y.jpg")
    listing = list_source(config(tmp_path, classes=("c", "a")))
    (reject,) = listing.rejects
    assert (reject.key, reject.reason) == ("b/y.jpg", Reason.UNKNOWN_LABEL)
    assert listing.classes == ("c", "a")


def test_a_folder_named_as_an_image_is_listed_and_entered(tmp_path):
    touch(tmp_path, "a/frames.jpg/one.jpg")
    keys = [record.key for record in list_source(config(tmp_path)).records]
    assert keys == ["a/frames.jpg", "a/frames.jpg/one.jpg"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path, "a/x.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "gone.jpg").symlink_to(tmp_path / "nothing")
    keys = [record.key for record in list_source(config(tmp_path)).records]
    assert keys == ["a/gone.jpg", "a/x.jpg"]


def test_names_that_are_no_utf8_are_kept(tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    with open(folder + b"/x.jpg", "wb") as file:
        file.write(b"x")
    (record,) = list_source(config(tmp_path)).records
    assert os.fsencode(record.key) == b"caf\xe9/x.jpg"
    assert record.label == "caf\\xe9"


def test_the_order_of_the_file_system_does_not_matter(tmp_path, monkeypatch):
    touch(tmp_path, *(f"{name}/{number}.jpg" for name in "ab" for number in range(9)))
    forward = list_source(config(tmp_path))
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: nullcontext(reversed(list(scan(path)))))
    assert list_source(config(tmp_path)) == forward


def test_no_folder_and_no_image_are_errors_that_say_where(tmp_path):
    with pytest.raises(DataError, match="no folder .*nowhere"):
        list_folders(str(tmp_path / "nowhere"))
    touch(tmp_path, "a/notes.txt")
    with pytest.raises(DataError, match="no usable image.*0 rejects, 1 other files"):
        list_source(config(tmp_path))


def test_listing_local_photographs_loads_no_framework_and_no_gdal(tmp_path):
    touch(tmp_path, "a/x.jpg")
    code = (
        "import sys; from components.ingest.config import *;"
        "from components.ingest.fingerprint import fingerprint_dataset;"
        "fingerprint_dataset(FoldersSource(uri=sys.argv[1]));"
        "import components.ingest.look, components.ingest.sources;"
        "heavy = {'tensorflow', 'apache_beam', 'tfx', 'rasterio', 'pandas', 'cv2'};"
        "assert not heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_stratified_splits_give_a_rare_class_its_share(tmp_path):
    touch(tmp_path, *(f"common/{i}.jpg" for i in range(100)), *(f"rare/{i}.jpg" for i in range(20)))
    split = {"train": 0.7, "eval": 0.15, "test": 0.15, "stratify": True}
    records = list_source(config(tmp_path, split=split)).records
    counts = Counter((record.label, record.drawn) for record in records)
    assert [counts["rare", it] for it in ("train", "eval", "test")] == [14, 3, 3]
    assert [counts["common", it] for it in ("train", "eval", "test")] == [70, 15, 15]


def test_stratified_splits_need_classes_that_the_source_names(tmp_path):
    source = {"kind": "boxed", "uri": str(tmp_path), "boxes": {"path": "boxes.json"}}
    with pytest.raises(ValueError, match="stratify needs a source that names the classes"):
        IngestConfig(source=source, split={"stratify": True})
