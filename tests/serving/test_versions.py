"""The version folder: valid versions, and pushes that are atomic, ordered and careful."""

import errno
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.contract.numbering import version_number
from serving.store import versions
from serving.store.digest import model_digest
from serving.store.model_files import ModelFolderError
from serving.store.versions import PublishedError, PushError, StaleBaselineError, push_version


def make_model(folder: Path, text: str = "model") -> Path:
    (folder / "variables").mkdir(parents=True)
    (folder / "assets").mkdir()
    (folder / "variables" / "variables.index").write_text("index")
    (folder / "variables" / "variables.data-00000-of-00001").write_text("data")
    (folder / "saved_model.pb").write_text(text)
    return folder


@pytest.fixture
def src(tmp_path: Path) -> Path:
    return make_model(tmp_path / "src")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "models" / "landcover"


def numbers(base: Path) -> list[int]:
    return [version.number for version in versions.list_versions(base)]


def test_only_integer_folders_with_a_model_file_are_versions(base: Path) -> None:
    for name in ("2", "10", "007"):
        make_model(base / name)
    make_model(base / ".push-xyz")
    make_model(base / "latest")
    make_model(base / "-3")
    (base / "11" / "variables").mkdir(parents=True)  # half copied
    (base / "12").write_text("a file")
    assert numbers(base) == [2, 7, 10]
    newest = versions.newest_version(base)
    assert newest is not None
    assert (newest.number, newest.path) == (10, base / "10")


LARGEST = 2**63 - 1


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("0", 0),
        ("7", 7),
        ("007", 7),
        ("0" * 30 + "7", 7),
        (str(LARGEST), LARGEST),
        (str(LARGEST + 1), None),
        ("9" * 5000, None),
        ("-1", None),
        ("+7", None),
        (" 7", None),
        ("1_000", None),
        ("\u0667", None),
        ("\u00b2", None),
        ("", None),
    ],
)
def test_a_version_is_an_int64_in_plain_digits(name: str, number: int | None) -> None:
    assert version_number(name) == number


def test_what_looks_like_a_version_and_is_none_is_reported(base: Path) -> None:
    for name in ("3", "03", str(LARGEST + 1), "\u0667", "latest", ".push-1"):
        make_model(base / name)
    assert [(v.number, v.path.name) for v in versions.list_versions(base)] == [(3, "3")]
    ignored = versions.ignored_folders(base)
    assert ignored.keys() == {"03", str(LARGEST + 1), "\u0667"}
    assert ignored["03"] == "the same version as 3"
    assert f"0 to {LARGEST}" in ignored[str(LARGEST + 1)]


def test_no_version_is_pushed_above_the_largest(src: Path, base: Path) -> None:
    make_model(base / str(LARGEST + 1))
    assert push_version(src, base, expected_baseline=None) == 1
    (base / str(LARGEST) / "variables").mkdir(parents=True)
    with pytest.raises(PushError, match=f"has a version {LARGEST}, the largest possible"):
        push_version(src, base, expected_baseline=1)
    assert numbers(base) == [1]


def test_no_folder_means_no_version(base: Path) -> None:
    assert versions.list_versions(base) == ()
    assert versions.newest_version(base) is None
    assert versions.next_version(base) == 1


def test_next_version_is_above_half_copied_and_removed_ones(src: Path, base: Path) -> None:
    (base / "41").mkdir(parents=True)
    assert versions.next_version(base) == 42
    assert push_version(src, base, expected_baseline=None) == 42
    (base / "41").rmdir()
    (base / "42").rename(base.parent / "gone")
    assert versions.next_version(base) == 43


def test_push_copies_everything_and_lays_provenance_beside_it(src: Path, base: Path) -> None:
    metrics = src.parent / "metrics.json"
    metrics.write_text("{}")
    number = push_version(
        src,
        base,
        expected_baseline=None,
        provenance={"provenance.json": b'{"run": 1}', "Split-eval/metrics.json": metrics},
    )
    assert number == 1
    copied = {
        str(path.relative_to(base / "1")) for path in (base / "1").rglob("*") if path.is_file()
    }
    assert copied == {
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "provenance/provenance.json",
        "provenance/Split-eval/metrics.json",
    }
    assert (base / "1" / "assets").is_dir()
    assert (base / "1/provenance/provenance.json").read_bytes() == b'{"run": 1}'


def test_a_pushed_version_is_readable_by_another_user(src: Path, base: Path) -> None:
    """The server in a container runs as another user than the one who pushes."""
    before = os.umask(0o022)
    try:
        push_version(src, base, expected_baseline=None)
    finally:
        os.umask(before)
    assert (base / "1").stat().st_mode & 0o777 == 0o755
    assert (base / "1" / "saved_model.pb").stat().st_mode & 0o777 == 0o644


def test_nothing_hidden_is_left_but_the_lock(src: Path, base: Path) -> None:
    push_version(src, base, expected_baseline=None)
    assert sorted(entry.name for entry in base.iterdir()) == [".push.lock", "1"]


def link_out(src: Path) -> None:
    (src.parent / "elsewhere").mkdir()
    (src.parent / "elsewhere" / "data").write_text("secret")
    (src / "more").symlink_to(src.parent / "elsewhere")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (link_out, "more is a link that leads out of the model"),
        (lambda src: (src / "a").symlink_to("/etc/passwd"), "leads out of the model, to /etc/pass"),
        (
            lambda src: (src / "again").symlink_to(src / "variables"),
            "again is a link that leads to",
        ),
        (
            lambda src: (src / "assets" / "up").symlink_to(".."),
            "up is a link that leads to the fol",
        ),
        (lambda src: (src / "gone").symlink_to("nothing"), "gone is a link that leads nowhere"),
        (lambda src: (src / "loop").symlink_to("loop"), "loop is a link that leads nowhere"),
        (lambda src: os.mkfifo(src / "variables" / "pipe"), "pipe is neither a file nor a folder"),
    ],
)
def test_what_is_no_file_of_the_models_own_is_refused_by_its_name(
    src: Path, base: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(src)
    with pytest.raises(PushError, match=says):
        push_version(src, base, expected_baseline=None)
    assert not base.exists()
    with pytest.raises(ModelFolderError, match=says):
        model_digest(src)


def test_a_link_to_a_file_of_the_model_is_copied_as_that_file(src: Path, base: Path) -> None:
    (src / "assets" / "names.txt").symlink_to("../variables/variables.index")
    linked = src.parent / "linked"
    linked.symlink_to(src)
    push_version(linked, base, expected_baseline=None)
    copied = base / "1" / "assets" / "names.txt"
    assert copied.read_text() == "index"
    assert not copied.is_symlink()
    assert model_digest(base / "1") == model_digest(src) == model_digest(linked)


def test_a_push_that_fails_after_the_rename_says_what_is_published(
    src: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(base / "1")
    sync = versions.sync_folder

    def spoilt_disk(folder: Path) -> None:
        if folder == base:
            raise OSError(errno.EIO, "Input/output error", str(folder))
        sync(folder)

    monkeypatch.setattr(versions, "sync_folder", spoilt_disk)
    with pytest.raises(PublishedError, match=f"Version 2 is published in {base}.*Input/out") as it:
        push_version(src, base, expected_baseline=1, keep=0)
    assert it.value.number == 2
    assert pickle.loads(pickle.dumps(it.value)).number == 2
    monkeypatch.undo()
    assert numbers(base) == [1, 2], "the version is there, and nothing was removed"
    assert push_version(src, base, expected_baseline=2, keep=0) == 3
    assert numbers(base) == [2, 3]


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", ""])
def test_provenance_stays_inside_its_folder(src: Path, base: Path, name: str) -> None:
    with pytest.raises(PushError, match="relative name"):
        push_version(src, base, expected_baseline=None, provenance={name: b""})


def test_a_folder_without_a_model_is_refused(tmp_path: Path, base: Path) -> None:
    with pytest.raises(PushError, match="SavedModel"):
        push_version(tmp_path, base, expected_baseline=None)
    assert not base.exists()


@pytest.mark.parametrize(
    ("expected", "served", "says"),
    [
        (None, None, "version 2 is the newest"),
        (1, None, "version 2 is the newest"),
        (2, 1, "version 1 is being served"),
        (3, None, "compared with version 3"),
    ],
)
def test_a_stale_baseline_is_refused(
    src: Path, base: Path, expected: int | None, served: int | None, says: str
) -> None:
    push_version(src, base, expected_baseline=None)
    push_version(src, base, expected_baseline=1)
    with pytest.raises(StaleBaselineError, match=says):
        push_version(src, base, expected_baseline=expected, served=served)
    assert numbers(base) == [1, 2]


def test_a_version_known_not_to_be_served_does_not_make_the_baseline_stale(
    src: Path, base: Path
) -> None:
    make_model(base / "4")
    make_model(base / "5", "broken")
    with pytest.raises(StaleBaselineError):
        push_version(src, base, expected_baseline=4, served=4)
    assert push_version(src, base, expected_baseline=4, served=4, not_served={5}) == 6


def test_a_baseline_that_changes_during_the_copy_is_refused(
    src: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(base / "1")
    copy = versions.copy_model

    def slow_copy(*args: object) -> None:
        copy(*args)  # type: ignore[arg-type]
        make_model(base / "2")

    monkeypatch.setattr(versions, "copy_model", slow_copy)
    with pytest.raises(StaleBaselineError):
        push_version(src, base, expected_baseline=1)
    assert numbers(base) == [1, 2]
    assert not list(base.glob(".push-*"))


def test_retention_keeps_the_newest_the_served_and_the_baseline(src: Path, base: Path) -> None:
    for number in (1, 2, 3, 4, 5):
        make_model(base / str(number))
    (base / "0" / "variables").mkdir(parents=True)  # half copied: not ours to delete
    push_version(src, base, expected_baseline=2, served=2, not_served={3, 4, 5}, keep=1)
    assert numbers(base) == [2, 5, 6]
    assert (base / "0").is_dir()
    push_version(src, base, expected_baseline=6, keep=0)
    assert numbers(base) == [6, 7]
    push_version(src, base, expected_baseline=7, served=7, keep=5)
    assert numbers(base) == [6, 7, 8]


def test_what_a_crashed_push_left_is_removed_but_not_what_a_live_one_writes(
    src: Path, base: Path
) -> None:
    crashed = base / ".push-crashed"
    make_model(crashed / "version")
    (crashed / "lock").touch()
    early = base / ".push-crashed-before-its-lock"
    early.mkdir()
    with versions.staging_folder(base) as alive:
        (alive / "version").mkdir()
        push_version(src, base, expected_baseline=None)
        assert (alive / "version").is_dir()
    assert [entry.name for entry in base.glob(".push-*")] == []


def test_threads_that_push_at_once_get_one_winner_per_baseline(src: Path, base: Path) -> None:
    outcomes: list[int | str] = []
    barrier = threading.Barrier(8)

    def push() -> None:
        barrier.wait()
        try:
            outcomes.append(push_version(src, base, expected_baseline=None))
        except StaleBaselineError:
            outcomes.append("stale")

    threads = [threading.Thread(target=push) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [1, *["stale"] * 7]


def _push_when_told(src: Path, base: Path, barrier: object, results: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    while True:
        newest = versions.newest_version(base)
        try:
            number = push_version(
                src, base, expected_baseline=newest.number if newest else None, keep=9
            )
        except StaleBaselineError:
            continue
        results.put(number)  # type: ignore[attr-defined]
        return


def test_processes_that_push_in_the_same_second_get_different_versions(
    src: Path, base: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    workers = [
        context.Process(target=_push_when_told, args=(src, base, barrier, results))
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    got = sorted(results.get(timeout=30) for _ in workers)
    for worker in workers:
        worker.join(timeout=30)
    assert got == [1, 2, 3]
    assert numbers(base) == [1, 2, 3]


def test_without_working_locks_the_rename_still_keeps_numbers_apart(
    src: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number that another push takes between the look and the rename is not overwritten."""
    rename = Path.rename

    def taken_first(self: Path, target: Path) -> Path:
        if target == base / "1":
            make_model(base / "1", "theirs")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", taken_first)
    assert push_version(src, base, expected_baseline=None) == 2
    assert (base / "1" / "saved_model.pb").read_text() == "theirs"
