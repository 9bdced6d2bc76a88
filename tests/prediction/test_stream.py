"""Images that arrive while a stream runs, with a model pushed meanwhile."""

import json
import os
import shutil
import threading
import time

import apache_beam as beam
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that
from click.testing import CliRunner

from components.raster.errors import ConfigError
from pipelines.cli.stream import command
from pipelines.prediction.config import PredictionConfig, StreamInput
from pipelines.prediction.model import ExampleModel
from pipelines.prediction.run import plan_run
from pipelines.prediction.stream import (
    FolderWatch,
    StreamAnswerer,
    StreamJob,
    answered_in,
    refused_in,
)
from pipelines.prediction.stream_transforms import TICK, AnswerImages, WatchFolder, address_of
from tests.prediction import models

_RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"


@pytest.fixture
def arrivals(archive, photographs_model, tmp_path):
    """A model base to push to, and the settings of a stream over the archive."""
    shutil.copytree(photographs_model, tmp_path / "models")
    tree = {
        "source": {"kind": "images", "uri": str(archive)},
        "output": str(tmp_path / "answers"),
        "batch": 4,
    }
    return PredictionConfig.model_validate(tree), tmp_path / "models"


def rows_in(folder):
    tables = [pq.read_table(path) for path in folder.glob("predictions-*.parquet")]
    return {row["uri"]: row for table in tables for row in table.to_pylist()}


def test_batches_wait_a_bounded_time_and_windows_end(arrivals, archive, tmp_path):
    config, base = arrivals
    job = StreamJob(config.model_dump_json(), str(base), delay_s=1, window_s=60, refresh_s=5)
    stream = StreamAnswerer(job, ExampleModel.load)
    dark, bright = str(archive / "site/00.png"), str(archive / "site/38.png")
    assert stream.add(dark, 1000.0) == []
    assert stream.add(str(archive / "loose.jpg"), 1000.5) == []
    assert stream.tick(1001.2) == []  # answered now, and written when the window is over
    [first] = stream.tick(1021.0)
    assert (first.predictions, first.rejects, first.model_version) == (1, 1, 3)
    assert rows_in(tmp_path / "answers")[dark]["class"] == "dark"
    [letters] = (tmp_path / "answers").glob("rejects-*.jsonl")
    assert json.loads(letters.read_text())["reason"] == "corrupt"

    models.save_for_photographs(base / "4", turned=True)
    (base / "5").mkdir()
    (base / "5/saved_model.pb").write_bytes(b"no model")  # is left, and the former one goes on
    stream.add(bright, 1022.0)
    [second] = stream.close(1022.0)
    assert second.model_version == 3
    shutil.rmtree(base / "5")
    stream.add(str(archive / "site/36.png"), time.time() + 10)
    [third] = stream.close(time.time() + 10)
    assert third.model_version == 4
    rows = rows_in(tmp_path / "answers")
    assert rows[bright]["class"] == "bright"
    assert rows[str(archive / "site/36.png")]["class"] == "dark", "version 4 answers otherwise"


def test_a_file_that_is_still_written_has_not_arrived(arrivals, archive):
    config, base = arrivals
    watch = FolderWatch(plan_run(config, str(base)).reading)
    assert list(watch.look()) == []
    assert len(list(watch.look())) == 41
    late = archive / "late.png"
    late.write_bytes(b"\x89PNG")
    assert list(watch.look()) == []
    late.write_bytes(b"\x89PNG and more")
    assert list(watch.look()) == []
    assert list(watch.look()) == [str(late)]


def test_a_folder_that_cannot_be_read_is_one_dead_letter_until_it_can(
    arrivals, archive, tmp_path, monkeypatch
):
    config, base = arrivals
    reading, output = plan_run(config, str(base)).reading, str(tmp_path / "answers")
    site, scandir = str(archive / "site"), os.scandir

    def denied(path):  # whoever runs the tests may read everything
        if path == site:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    with monkeypatch.context() as context:
        context.setattr(os, "scandir", denied)
        for _ in range(2):  # the second is a restart
            watch = FolderWatch(reading, answered_in(output), refused_in(output))
            for _ in range(2):
                assert not [uri for uri in watch.look() if uri.startswith(site)]
                watch.write_rejects(output)
    [path] = (tmp_path / "answers").glob("rejects-*.jsonl")
    assert [json.loads(line)["uri"] for line in path.read_text().splitlines()] == [site]
    found = [[uri for uri in watch.look() if uri.startswith(site)] for _ in range(2)]
    assert [len(uris) for uris in found] == [0, len(list(archive.glob("site/*.png")))]


def test_a_message_of_any_bytes_is_an_address():
    assert address_of(b" s3://images/1.png\n") == "s3://images/1.png"
    assert address_of(b"\xff.png") == "\\xff.png"
    assert address_of(None) == TICK


def test_a_message_cannot_name_a_file_outside_the_source(arrivals, archive, tmp_path):
    config, base = arrivals
    broker = StreamInput(kafka="broker:9092", topic="tiles")
    config = config.model_copy(update={"stream": broker})
    job = StreamJob(config.model_dump_json(), str(base))
    stream = StreamAnswerer(job, ExampleModel.load)
    inside = str(archive / "site/00.png")
    outside = (str(tmp_path / "secret.png"), f"{archive}/../secret.png", f"{archive}-2/a.png")
    for uri in (inside, *outside):
        stream.add(uri, 1000.0)
    [written] = stream.close(1001.0)
    assert (written.predictions, written.rejects) == (1, 3)
    [file] = (tmp_path / "answers").glob("rejects-*.jsonl")
    rejects = [json.loads(line) for line in file.read_text().splitlines()]
    assert {it["uri"] for it in rejects} == set(outside)
    assert {it["reason"] for it in rejects} == {"outside_source"}


@pytest.mark.parametrize("flags", [["--window", "0"], ["--poll", "0"], ["--delay", "-1"]])
def test_times_that_make_no_progress_are_refused(flags):
    found = CliRunner().invoke(command, ["incoming", "-o", "answers", *flags])
    assert (found.exit_code, "is not in the range" in found.output) == (2, True)


def test_messages_of_a_broker_need_an_engine(photographs_model, tmp_path):
    flags = ["--messages", "images", "--kafka", "localhost:9", "--topic", "tiles"]
    places = ["-o", str(tmp_path / "answers"), "--model-base", str(photographs_model)]
    found = CliRunner().invoke(command, [*flags, *places])
    assert isinstance(found.exception, ConfigError)
    assert "cannot read from a broker" in str(found.exception)


@pytest.mark.slow
def test_a_pipeline_takes_up_a_pushed_model_without_a_restart(arrivals, archive, tmp_path):
    config, base = arrivals
    job = StreamJob(config.model_dump_json(), str(base), delay_s=0.1, window_s=1, refresh_s=0.1)
    reading = plan_run(config, str(base)).reading.model_dump_json()
    output = tmp_path / "answers"

    def push_once_there_are_answers():
        while not list(output.glob("predictions-*.parquet")):
            time.sleep(0.1)
        models.save_for_photographs(tmp_path / "made", turned=True)
        (tmp_path / "made").rename(base / "4")
        shutil.copy(archive / "site/00.png", archive / "late.png")

    pusher = threading.Thread(target=push_once_there_are_answers)
    pusher.start()
    with beam.Pipeline(options=PipelineOptions([_RUNNER])) as pipeline:
        written = (
            pipeline
            | beam.Create([reading])
            | beam.ParDo(WatchFolder(str(output), poll_s=0.5, looks=60))
            | beam.ParDo(AnswerImages(job))
        )

        def all_versions(found):
            assert {it.model_version for it in found} == {3, 4}

        assert_that(written, all_versions)
    pusher.join()
    rows = rows_in(output)
    assert rows[str(archive / "site/00.png")]["class"] == "dark"
    assert rows[str(archive / "late.png")]["class"] == "bright"
    assert len(rows) == 41
