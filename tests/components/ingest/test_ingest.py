"""The whole of ingest on Beam, read back from the files that it leaves."""

import hashlib
import json
import os
import socket

import pytest
import tensorflow as tf

from components.gate.report import GateFailed, require_passed
from components.ingest.config import IngestConfig
from components.ingest.files import layout
from components.ingest.listing.config import ManifestColumns
from components.ingest.photographs.config import FoldersSource, ManifestSource
from components.ingest.pool import worthwhile
from components.raster.image import ImageSpec
from components.raster.reasons import Reason
from components.raster.split import SplitConfig, split_of
from serving.graph.decode import decode_image
from tests.components.ingest.conftest import picture, text
from tests.varieties import SPEC, VARIETIES

SPLITS = ("train", "eval", "test")
EVEN = SplitConfig(train=0.4, eval=0.3, test=0.3)


def of_folders(root, **options):
    return IngestConfig(source=FoldersSource(uri=str(root)), **{"split": EVEN, **options})


def of_manifest(root, rows, **columns):
    """A manifest beside the images; each row is a dict."""
    path = root / "manifest.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = ManifestSource(uri=str(path), columns=ManifestColumns(**columns))
    return IngestConfig(source=source, split=EVEN)


def test_every_image_becomes_one_example_of_the_spec(folders, ingest):
    outcome = ingest(of_folders(folders))
    found = {
        text(it, "image/key"): (split, it) for split in SPLITS for it in outcome.examples(split)
    }
    assert len(found) == sum(len(outcome.keys(split)) for split in SPLITS) == 120
    for path in folders.rglob("*.jpg"):
        data = path.read_bytes()
        split, example = found[path.relative_to(folders).as_posix()]
        features = example.features.feature
        sha256 = hashlib.sha256(data).hexdigest()
        assert features["image/encoded"].bytes_list.value[0] == data
        assert text(example, "image/sha256") == sha256
        assert text(example, "label/text") == path.parent.name
        assert outcome.classes()[features["label"].int64_list.value[0]] == path.parent.name
        assert split == split_of(sha256, None, None, EVEN)
        pixels = decode_image(tf.constant(data), ImageSpec()).numpy()
        for band in range(3):
            mean = features[f"image/mean_{band}"].float_list.value[0]
            assert mean == pytest.approx(pixels[..., band].mean(), rel=1e-6)
    assert outcome.summary.total_images == 120
    assert outcome.summary.total_rejects == 0
    require_passed(outcome.report())


def test_nothing_but_finished_files_is_left(folders, ingest):
    outcome = ingest(of_folders(folders, shards=3))
    names = {f"data-0000{shard}-of-00003.tfrecord" for shard in range(3)}
    for split in SPLITS:
        assert set(outcome.shards(split)) == names
    assert {it.name for it in outcome.examples_dir.iterdir()} == {
        "classes.json",
        "grouping.json",
        *(f"Split-{split}" for split in SPLITS),
    }
    assert {it.name for it in outcome.rejects_dir.iterdir()} == {
        "report.json",
        "summary.json",
        *(f"rejects-0000{shard}-of-00003.jsonl" for shard in range(3)),
    }


@pytest.mark.parametrize(
    "workers",
    [
        ("--ingest_processes=2",),
        ("--ingest_processes=0",),
        ("--direct_num_workers=3", "--direct_running_mode=multi_threading"),
        pytest.param(
            ("--direct_num_workers=2", "--direct_running_mode=multi_processing"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_workers_and_file_order_change_no_byte(folders, ingest, tmp_path, workers):
    once = ingest(of_folders(folders, shards=5), "once")
    for path in sorted(folders.rglob("*.jpg"), reverse=True):
        target = tmp_path / "moved" / path.relative_to(folders)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    again = ingest(of_folders(tmp_path / "moved", shards=5), "again", *workers)
    for split in SPLITS:
        assert again.shards(split) == once.shards(split)


def test_processes_are_started_for_work_that_is_worth_their_start(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert [worthwhile(shards) for shards in (0, 1, 7, 8, 12, 100)] == [1, 1, 1, 2, 3, 8]


def test_another_number_of_shards_moves_nothing_to_another_split(folders, ingest):
    few, many = (ingest(of_folders(folders, shards=shards), f"{shards}") for shards in (1, 7))
    for split in SPLITS:
        assert sorted(few.keys(split)) == sorted(many.keys(split))


def test_shards_are_mixed(folders, ingest):
    for shard in ingest(of_folders(folders, shards=4)).shards("train").values():
        assert b"forest/" in shard
        assert b"river/" in shard


def test_a_bad_file_never_stops_a_run(folders, ingest, monkeypatch):
    bad = folders / "river"
    (bad / "empty.jpg").write_bytes(b"")
    (bad / "cut.jpg").write_bytes(picture(1)[:300])
    (bad / "page.jpg").write_text("<html>404</html>")
    (bad / "folder.jpg").mkdir()
    (bad / "gone.jpg").symlink_to(bad / "nowhere")
    (bad / "loop.jpg").symlink_to(bad / "loop.jpg")
    os.mkfifo(bad / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(bad)  # the address of a socket is short
        listener.bind("socket.jpg")
        outcome = ingest(of_folders(folders, max_reject_fraction=0.01))
    reasons = {key.removeprefix("river/"): it.reason for key, it in outcome.rejects().items()}
    assert reasons == {
        "empty.jpg": Reason.CORRUPT,
        "cut.jpg": Reason.CORRUPT,
        "page.jpg": Reason.UNSUPPORTED_FORMAT,
        "folder.jpg": Reason.UNREADABLE,
        "gone.jpg": Reason.MISSING_FILE,
        "loop.jpg": Reason.UNREADABLE,
        "pipe.jpg": Reason.UNREADABLE,
        "socket.jpg": Reason.UNREADABLE,
    }
    assert outcome.summary.rejects["unreadable"] == 4
    assert outcome.summary.total_images == 120
    with pytest.raises(
        GateFailed, match=r"8 of 128 images \(6\.25%\).*most by reason: unreadable 4"
    ):
        require_passed(outcome.report())


def test_the_varieties_of_the_docs_are_all_accounted_for(tmp_path, ingest):
    folder = tmp_path / "data" / "odd"
    folder.mkdir(parents=True)
    expected = {}
    for number, (name, build) in enumerate(VARIETIES.items()):
        variety = build()
        (folder / f"{number:02d}.jpg").write_bytes(variety.data + b"")
        expected[f"odd/{number:02d}.jpg"] = (name, variety.outcome)
    outcome = ingest(of_folders(tmp_path / "data", image=SPEC))
    rejects = outcome.rejects()
    taken = {text(it, "image/key"): it for split in SPLITS for it in outcome.examples(split)}
    assert taken.keys() | rejects.keys() == expected.keys()
    assert not taken.keys() & rejects.keys()
    for key, (_, result) in expected.items():
        if key in rejects:
            assert rejects[key].reason == result
        else:
            features = taken[key].features.feature
            size = tuple(features[f"image/{it}"].int64_list.value[0] for it in ("height", "width"))
            assert size == result.shape[:2]


def test_copies_that_straddle_given_splits_are_rejected(folders, ingest):
    rows = [
        {"uri": path.relative_to(folders).as_posix(), "label": path.parent.name}
        for path in sorted(folders.rglob("*.jpg"))
    ]
    for name, split in (("a.jpg", "test"), ("b.jpg", "train"), ("c.jpg", "test")):
        (folders / name).write_bytes(picture(1000))
        rows.append({"uri": name, "label": "river", "split": split})
    (folders / "d.jpg").write_bytes(picture(1000))
    rows.append({"uri": "d.jpg", "label": "forest", "split": "test"})
    outcome = ingest(of_manifest(folders, rows, split="split"))
    assert {key: it.reason for key, it in outcome.rejects().items()} == {
        "b.jpg": Reason.DUPLICATE_ACROSS_SPLITS,
        "d.jpg": Reason.CONFLICTING_LABEL,
    }
    assert {"a.jpg", "c.jpg"} <= set(outcome.keys("test"))
    assert sum(len(outcome.keys(split)) for split in SPLITS) == 122 == outcome.summary.total_images


def test_a_group_stays_together(folders, ingest):
    rows = [
        {
            "uri": path.relative_to(folders).as_posix(),
            "label": path.parent.name,
            "farm": path.stem[1],
        }
        for path in sorted(folders.rglob("*.jpg"))
    ]
    outcome = ingest(of_manifest(folders, rows, group="farm"))
    farms = [{key.split("/")[1][1] for key in outcome.keys(split)} for split in SPLITS]
    assert sum(map(len, farms)) == len(set.union(*farms)) == 10


def test_labels_and_slices_of_a_manifest_reach_the_examples(folders, ingest):
    rows = [
        {"uri": "river/001.jpg", "tags": ["wet", "blue"], "region": "north", "year": 2020},
        {"uri": "forest/000.jpg", "tags": ["green"], "region": "south", "year": 2021},
    ]
    config = of_manifest(folders, rows, label=None, labels="tags", slices=("region", "year"))
    outcome = ingest(config)
    (river,) = (
        it for split in SPLITS for it in outcome.examples(split) if text(it, "image/key")[0] == "r"
    )
    features = river.features.feature
    assert outcome.classes() == ["blue", "green", "wet"]
    assert list(features["labels"].int64_list.value) == [0, 2]
    assert list(features["labels/text"].bytes_list.value) == [b"blue", b"wet"]
    assert text(river, "slice/region") == "north"
    assert list(features["slice/year"].int64_list.value) == [2020]


def test_an_unknown_label_is_a_reject(folders, ingest):
    outcome = ingest(of_folders(folders, classes=("river", "lake")))
    assert {it.reason for it in outcome.rejects().values()} == {Reason.UNKNOWN_LABEL}
    assert outcome.classes() == ["river", "lake"]
    assert outcome.report().facts["classes_without_training_examples"] == ["lake"]


def test_an_empty_split_blocks_and_says_so(tmp_path, ingest):
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "data" / "a" / "only.jpg").write_bytes(picture(0))
    outcome = ingest(of_folders(tmp_path / "data"))
    with pytest.raises(GateFailed, match="split_not_empty: (train|eval|test): .* has 0 examples"):
        require_passed(outcome.report())


def test_without_features_the_same_images_go_to_the_same_splits(folders, ingest):
    (folders / "river" / "page.jpg").write_text("<html>404</html>")
    full, quick = (
        ingest(of_folders(folders, features=features), f"{features}") for features in (True, False)
    )
    for split in SPLITS:
        assert quick.keys(split) == full.keys(split)
    assert quick.rejects() == full.rejects()
    assert "image/brightness" not in quick.examples("train")[0].features.feature


def test_the_number_of_shards_hangs_on_the_images_alone():
    counts = [layout.shard_count(images, None) for images in (1, 64, 200, 8_000, 20_000, 10**8)]
    assert counts == [1, 1, 4, 4, 10, 1000]
    assert layout.shard_count(3, 50) == 3


def test_real_odd_images_are_all_accounted_for(shared_data, ingest):
    root = shared_data("odd_images")
    outcome = ingest(of_folders(root, max_reject_fraction=1))
    manifest = json.loads((root / "manifest.json").read_text())
    taken = {key for split in SPLITS for key in outcome.keys(split)}
    assert taken | outcome.rejects().keys() == manifest.keys()
    assert not taken & outcome.rejects().keys()
    for key, facts in manifest.items():
        kind = facts.get("format")
        if kind in ("JPEG", "PNG") and key in outcome.rejects():
            # Pillow takes a PNG without its end; libpng does not.
            broken = "load fails" in facts["pillow"] or key == "pillow/truncated_end_chunk.png"
            assert broken, key
        elif kind not in ("JPEG", "PNG"):
            assert key in outcome.rejects(), key
