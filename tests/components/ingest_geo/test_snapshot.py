"""Ingest lists and reads the data that a run was started for, or the run stops and says so."""

import hashlib
import itertools
import os
import threading
import time
from pathlib import Path

import apache_beam as beam
import pytest
from tfx.types import standard_artifacts

from components.gate.artifact import Rejects
from components.ingest.config import IngestConfig
from components.ingest.executor import Executor, run_ingest
from components.ingest.fingerprint import fingerprint_dataset, same_data
from components.ingest.snapshot import Snapshot, SourceChanged
from components.ingest.sources import family_of, list_source
from components.raster import fingerprint as file_marks
from components.raster.effort import Effort
from components.raster.errors import DataError
from components.raster.file_state import FileState, state_of
from components.raster.fingerprint import checksums_of_files, entry_digest, is_slow
from tests.components.ingest_geo.sources import KINDS, Made


@pytest.fixture(params=sorted(KINDS))
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    return KINDS[request.param](tmp_path)


def config_of(made: Made) -> IngestConfig:
    return IngestConfig.model_validate(made.tree)


def fingerprint(config: IngestConfig) -> str:
    return fingerprint_dataset(config.source, config.split_by)


def told_by_workers(config: IngestConfig) -> list[bytes]:
    """Stamps that workers report for the files that they read whole."""
    family, listing = family_of(config.source), list_source(config)
    reported: list[bytes] = []
    convert = family.converter(config, listing.classes)
    for line in family.lines(listing, 2):
        list(convert(line, reported.append))
    return reported


def conclude(snapshot: Snapshot, started_for: str) -> None:
    """Reads everything, and checks that it is the data that the run was started for."""
    reported = [] if snapshot.is_complete else told_by_workers(snapshot.config)
    snapshot.require_unchanged()
    snapshot.require(started_for, reported)


def rewrite(path: Path) -> None:
    """Writes other content of the same size with the old time: only the inode's time shows it."""
    status, data = path.stat(), path.read_bytes()
    at = data.rindex(b"5") if path.suffix.endswith("json") else len(data) - 1
    path.write_bytes(bytes([*data[:at], data[at] ^ 2, *data[at + 1 :]]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_ingest_sees_what_the_run_was_started_for(made: Made) -> None:
    config = config_of(made)
    conclude(Snapshot.take(config), fingerprint(config))


def test_a_file_that_appears_before_the_listing_stops_the_run(made: Made) -> None:
    config = config_of(made)
    started_for = fingerprint(config)
    made.another()
    with pytest.raises(SourceChanged, match="has changed since this run was started"):
        conclude(Snapshot.take(config), started_for)
    conclude(Snapshot.take(config), fingerprint(config))  # the next run


def one_of_each_role(made: Made) -> list[Path]:
    """Files whose names differ by a number alone are read alike."""
    roles = {(it.parent, it.stem.strip("0123456789"), it.suffix): it for it in made.files}
    return list(roles.values())


def test_a_file_of_any_role_that_is_written_before_the_listing_stops_the_run(made: Made) -> None:
    config = config_of(made)
    for path in one_of_each_role(made):
        started_for = fingerprint(config)
        rewrite(path)
        with pytest.raises(SourceChanged, match=f"changed last: .*{path.name}"):
            conclude(Snapshot.take(config), started_for)


def test_a_file_of_any_role_that_is_written_under_the_reader_stops_the_run(made: Made) -> None:
    config = config_of(made)
    for path in one_of_each_role(made):
        started_for, snapshot = fingerprint(config), Snapshot.take(config)
        rewrite(path)
        with pytest.raises(SourceChanged, match=f"changed .*{path.name}"):
            conclude(snapshot, started_for)


@pytest.fixture
def old_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were last written some ticks ago: an equal state proves equal content."""
    monkeypatch.setattr("components.raster.file_state._LONGEST_TICK_NS", 0)


def test_an_old_file_that_is_written_or_removed_under_the_reader_stops_the_run(
    made: Made, old_files: None
) -> None:
    config = config_of(made)
    for path in one_of_each_role(made):
        started_for, snapshot = fingerprint(config), Snapshot.take(config)
        snapshot.require_unchanged()
        time.sleep(0.02)  # some ticks of Linux's clock of files
        rewrite(path)
        with pytest.raises(SourceChanged, match=f"changed .*{path.name}"):
            conclude(snapshot, started_for)
    started_for, snapshot = fingerprint(config), Snapshot.take(config)
    made.files[-1].unlink()
    with pytest.raises(DataError, match=made.files[-1].name):
        conclude(snapshot, started_for)


def test_many_files_have_the_checksums_of_their_contents(tmp_path: Path) -> None:
    """Some are read by this thread and some by others; one is missing, and one is a folder."""
    contents = [
        bytes([number % 251]) * (2_000_000 if number == 40 else number) for number in range(90)
    ]
    paths = [tmp_path / f"{number}" for number in range(90)]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    paths[3].unlink()
    paths[60].unlink()
    paths[60].mkdir()
    expected = [hashlib.sha256(content).hexdigest() for content in contents]
    expected[3] = expected[60] = "!missing"
    assert list(checksums_of_files([str(path) for path in paths])) == expected


def test_one_slow_part_alone_starts_no_threads(tmp_path: Path, monkeypatch) -> None:
    """A pause of the garbage collector looks like a slow disk, and does not come twice in a row."""
    readers: set[int] = set()
    mark = file_marks._mark

    def seen(path: str) -> file_marks.FileMark:
        readers.add(threading.get_ident())
        return mark(path)

    paths = [str(tmp_path / f"{number}") for number in range(2000)]
    monkeypatch.setattr(file_marks, "_mark", seen)
    for slow, alone in ((itertools.cycle([True, False]), True), (itertools.repeat(True), False)):
        monkeypatch.setattr(file_marks, "is_slow", lambda *_, slow=slow: next(slow))
        readers.clear()
        assert list(checksums_of_files(paths)) == ["!missing"] * 2000
        assert (readers == {threading.get_ident()}) == alone


def test_threads_read_files_that_take_a_reader_long_but_a_busy_machine_does_not_count() -> None:
    seconds, files = 1.0, 100
    assert is_slow(Effort(seconds, 0.01, waits=100), files)
    assert is_slow(Effort(seconds, 0.9, waits=0), files)
    assert not is_slow(Effort(seconds, 0.01, waits=0), files)
    assert not is_slow(Effort(0.02, 0.01, waits=100), files)


PHOTOGRAPHS = ("folders", "manifest", "masked")
OTHERS = sorted(KINDS.keys() - PHOTOGRAPHS)


@pytest.mark.parametrize("kind", OTHERS)
def test_a_content_that_came_back_was_another_meanwhile(tmp_path: Path, kind: str) -> None:
    """A reader may have seen either."""
    made = KINDS[kind](tmp_path)
    config, path = config_of(made), made.files[-1]
    snapshot = Snapshot.take(config)
    rewrite(path)
    rewrite(path)
    if state_of(str(path)).changed_ns == snapshot._marks[str(path)].state.changed_ns:  # type: ignore[union-attr]
        pytest.skip("three writes within one tick of this file system's clock")
    with pytest.raises(SourceChanged, match=path.name):
        snapshot.require_unchanged()


@pytest.mark.parametrize("kind", PHOTOGRAPHS)
def test_what_becomes_of_a_photograph_after_it_was_read_does_not_matter(
    tmp_path: Path, kind: str
) -> None:
    """The examples hold what the run was started for."""
    made = KINDS[kind](tmp_path)
    config = config_of(made)
    started_for, snapshot = fingerprint(config), Snapshot.take(config)
    reported = told_by_workers(config)
    for path in made.files:
        rewrite(path)
    snapshot.require_unchanged()
    assert snapshot.require(started_for, reported) == started_for
    with pytest.raises(SourceChanged, match="has changed since this run was started"):
        snapshot.require(started_for, told_by_workers(config))


def test_a_worker_tells_of_every_file_what_a_fingerprint_covers(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "a"
    folder.mkdir(parents=True)
    contents = {"text.jpg": b"text", "empty.jpg": b"", "large.jpg": b"x" * 5000}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.jpg").mkdir()
    (folder / "gone.jpg").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.jpg")
    tree = {"source": {"kind": "folders", "uri": str(folder.parent)}, "image": {"max_bytes": 4000}}
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    checksums |= dict.fromkeys(("folder.jpg", "gone.jpg", "pipe.jpg"), "!missing")
    entries = [
        [f"a/{name}", "a", None, None, None, [], None, None, checksum]
        for name, checksum in checksums.items()
    ]
    reported = told_by_workers(IngestConfig.model_validate(tree))
    assert sorted(reported) == sorted(map(entry_digest, entries))


def test_a_mask_that_changes_between_its_images_stops_the_run(tmp_path: Path) -> None:
    """Each image states the content of its mask when that was read."""
    for name in ("1.jpg", "2.jpg", "mask.png"):
        (tmp_path / name).write_bytes(name.encode())
    table = tmp_path / "table.csv"
    table.write_text("uri,mask\n1.jpg,mask.png\n2.jpg,mask.png\n")
    legend = {"values": {"1": "roof"}}
    source = {"kind": "manifest", "uri": str(table), "columns": {"mask": "mask"}, "legend": legend}
    config = IngestConfig.model_validate({"source": source})
    started_for, snapshot = fingerprint(config), Snapshot.take(config)
    family, listing = family_of(config.source), list_source(config)
    reported: list[bytes] = []
    for line in family.lines(listing, 2):
        list(family.converter(config, listing.classes)(line, reported.append))
        if len(reported) == 1:
            (tmp_path / "mask.png").write_bytes(b"another")
    with pytest.raises(SourceChanged, match=r"changed last: .*mask\.png"):
        snapshot.require(started_for, reported)


def test_images_of_other_classes_and_drawn_splits_are_of_the_same_data(tmp_path: Path) -> None:
    made = KINDS["folders"](tmp_path)
    started_for = fingerprint(config_of(made))
    classes = list_source(config_of(made)).classes
    assert len(classes) > 1
    for more in ({"classes": classes[:1]}, {"split": {"stratify": True}}):
        config = IngestConfig.model_validate(made.tree | more)
        conclude(Snapshot.take(config), started_for)


def test_a_file_beside_a_raster_that_appears_under_the_reader_stops_the_run(tmp_path: Path) -> None:
    made = KINDS["scenes_mask_file"](tmp_path)
    beside = made.files[-1]
    content = beside.read_bytes()
    beside.unlink()
    snapshot = Snapshot.take(config_of(made))
    beside.write_bytes(content)
    with pytest.raises(SourceChanged, match=beside.name):
        snapshot.require_unchanged()


@pytest.fixture
def coarse_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of files in ticks of two seconds, as FAT has them."""
    exact = FileState.of

    def in_ticks(status: os.stat_result) -> FileState:
        state, tick = exact(status), 2 * 10**9
        times = {name: getattr(state, name) // tick * tick for name in ("written_ns", "changed_ns")}
        return state._replace(**times)

    monkeypatch.setattr(FileState, "of", in_ticks)


@pytest.mark.parametrize("size", [100, 100_000])
def test_an_edit_within_a_tick_of_the_clock_is_seen(
    coarse_clock: None, tmp_path: Path, size: int
) -> None:
    """The state of the file is the same before and after: its content decides."""
    path = tmp_path / "data" / "a" / "1.png"
    path.parent.mkdir(parents=True)
    source = {"kind": "folders", "uri": str(path.parents[1])}
    config = IngestConfig.model_validate({"source": source})
    path.write_bytes(b"x" * size)
    started_for, snapshot = fingerprint(config), Snapshot.take(config)
    path.write_bytes(b"y" * size)
    with pytest.raises(SourceChanged, match=r"1\.png"):
        conclude(snapshot, started_for)
    with pytest.raises(SourceChanged, match=r"1\.png"):
        conclude(Snapshot.take(config), started_for)


def test_what_appears_after_the_listing_is_not_read(tmp_path: Path) -> None:
    made = KINDS["folders"](tmp_path / "data")
    config = config_of(made)

    def pipeline() -> beam.Pipeline:
        made.another()
        return beam.Pipeline(argv=["--runner=FnApiRunner"])

    places = [str(tmp_path / name) for name in ("examples", "rejects")]
    summary = run_ingest(config, fingerprint(config), *places, pipeline)
    assert summary.total_images + summary.total_rejects == len(made.files)


@pytest.fixture
def node(tmp_path: Path):
    """Runs the node as TFX does: `node(config, fingerprint, change, restore)`."""

    def run(config: IngestConfig, started_for: str, change=None, restore=None) -> Path:
        class Hooked(Executor):
            def _make_beam_pipeline(self) -> beam.Pipeline:
                return _Pipeline(change, restore)

        outputs = {}
        for name, artifact in (("examples", standard_artifacts.Examples()), ("rejects", Rejects())):
            artifact.uri = str(tmp_path / "out" / name)
            outputs[name] = [artifact]
        properties = {"config": config.model_dump_json(), "fingerprint": started_for}
        Hooked(Executor.Context(tmp_dir=str(tmp_path), unique_id="1")).Do({}, outputs, properties)
        return tmp_path / "out" / "rejects" / "report.json"

    return run


class _Pipeline(beam.Pipeline):
    """Calls one function before anything is read, and another after all was."""

    def __init__(self, before, after) -> None:
        super().__init__(argv=["--runner=FnApiRunner"])
        self._before, self._after = before, after

    def run(self, *args, **options):
        if self._before:
            self._before()
        result = super().run(*args, **options)
        result.wait_until_finish()
        if self._after:
            self._after()
        return result


@pytest.mark.parametrize("kind", ["folders", "masked", "scenes_class_raster"])
def test_nothing_is_concluded_of_files_that_changed_under_the_reader(
    node, tmp_path: Path, kind: str
) -> None:
    made = KINDS[kind](tmp_path)
    config, path = config_of(made), made.files[-1]
    content = path.read_bytes()
    os.utime(path, (1, 1))
    restored = lambda: (path.write_bytes(content), os.utime(path, (1, 1)))  # noqa: E731
    with pytest.raises(SourceChanged, match=path.name):
        node(config, fingerprint(config), lambda: rewrite(path), restored)
    assert not (tmp_path / "out" / "rejects" / "report.json").exists()
    assert node(config, fingerprint(config)).exists()  # the next run


def test_a_file_that_is_there_at_the_listing_alone_poisons_nothing(node, tmp_path: Path) -> None:
    made = KINDS["folders"](tmp_path / "data")
    config = config_of(made)
    started_for = fingerprint(config)
    extra = made.another()
    with pytest.raises(SourceChanged, match=f"changed last: .*{extra.name}"):
        node(config, started_for)
    extra.unlink()
    assert fingerprint(config) == started_for
    assert node(config, started_for).exists()


def test_files_of_unknown_state_do_not_stop_a_run(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("uri,label\nnowhere://bucket/1.jpg,a\n")
    config = IngestConfig.model_validate({"source": {"kind": "manifest", "uri": str(table)}})
    started_for = fingerprint(config)
    snapshot = Snapshot.take(config)
    conclude(snapshot, started_for)
    table.write_text("uri,label\nnowhere://bucket/1.jpg,b\n")
    assert not same_data(started_for, fingerprint(config))
