"""Messages that hold the bytes of images, from a local queue and as brokers deliver them."""

import base64
import io
import json
import threading
import time
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow.parquet as pq
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from click.testing import CliRunner
from PIL import Image

from pipelines.cli.stream import command
from pipelines.prediction.config import PredictionConfig
from pipelines.prediction.messages import (
    ImageMessage,
    MessageWatch,
    message_of_event,
    message_of_line,
    message_of_record,
)
from pipelines.prediction.model import ExampleModel
from pipelines.prediction.settling import Settling
from pipelines.prediction.stream import StreamAnswerer, StreamJob, answered_in
from pipelines.prediction.stream_transforms import (
    TICK,
    AnswerImages,
    WatchMessages,
    image_of_event,
    image_of_record,
)
from tests.prediction.rasters import write_raster

_RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def image_of(level: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((10, 12, 3), level, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def line_of(key: str, image: bytes) -> str:
    return json.dumps({"key": key, "image": base64.b64encode(image).decode()}) + "\n"


def job_for(base: Path, output: Path, kind: str = "images", **times: float) -> StreamJob:
    config = PredictionConfig.model_validate(
        {
            "source": {"kind": kind, "uri": "messages"},
            "output": str(output),
            "batch": 4,
            "stream": {"messages": "images"},
        }
    )
    return StreamJob(config.model_dump_json(), str(base), **times)


def classes_in(folder: Path) -> dict[str, str]:
    tables = [pq.read_table(path) for path in folder.glob("predictions-*.parquet")]
    return {row["key"]: row["class"] for table in tables for row in table.to_pylist()}


def letters_in(folder: Path) -> dict[str, dict[str, str]]:
    lines = [it for path in folder.glob("rejects-*.jsonl") for it in path.read_text().splitlines()]
    return {row["key"]: row for row in map(json.loads, lines)}


def test_images_are_answered_by_key_and_undecodable_ones_are_dead_letters(
    photographs_model, tmp_path
):
    output = tmp_path / "answers"
    stream = StreamAnswerer(job_for(photographs_model, output), ExampleModel.load)
    for key, image in (("plot-7", image_of(20)), ("plot-8", b"no image"), ("9", image_of(230))):
        stream.add_message(ImageMessage(key, image), 1000.0)
    stream.add_message(message_of_line(b"no JSON", "a.jsonl:4"), 1000.0)
    [written] = stream.close(1001.0)
    assert (written.predictions, written.rejects) == (2, 2)
    assert classes_in(output) == {"plot-7": "dark", "9": "bright"}
    [table] = [pq.read_table(path) for path in output.glob("predictions-*.parquet")]
    assert table["uri"].to_pylist() == [None, None], "no address of this machine's"
    letters = letters_in(output)
    assert {key: it["reason"] for key, it in letters.items()} == {
        "plot-8": "unsupported_format",
        "a.jsonl:4": "bad_row",
    }
    assert "skymill-stream" not in json.dumps(letters)
    assert answered_in(str(output)) == set(), "messages of a broker have no address"


def test_a_key_may_name_many_images_also_after_a_restart(photographs_model, tmp_path):
    queue, output = tmp_path / "queue", tmp_path / "answers"
    queue.mkdir()

    def started_again() -> None:
        stream = StreamAnswerer(job_for(photographs_model, output), ExampleModel.load)
        watch = MessageWatch(str(queue), answered_in(str(output)))
        for _ in range(2):  # a file has arrived when it is the same at a second look
            for message in watch.look():
                stream.add_message(message, 1000.0)
        stream.close(1001.0)

    (queue / "1.jsonl").write_text(line_of("plot-7", image_of(20)) + line_of("plot-7", b"none"))
    started_again()
    (queue / "2.jsonl").write_text(line_of("plot-7", image_of(230)) + "no JSON\n")
    for _ in range(2):
        started_again()
    tables = [pq.read_table(path) for path in output.glob("predictions-*.parquet")]
    rows = {row["uri"]: row["class"] for table in tables for row in table.to_pylist()}
    assert rows == {f"{queue}/1.jsonl:1": "dark", f"{queue}/2.jsonl:1": "bright"}
    assert sum(table.num_rows for table in tables) == 2
    letters = [it for path in output.glob("rejects-*") for it in path.read_text().splitlines()]
    assert sorted(json.loads(it)["uri"] for it in letters) == [
        f"{queue}/1.jsonl:2",
        f"{queue}/2.jsonl:2",
    ]


def test_rasters_arrive_as_bytes_too(rasters_model, tmp_path):
    write_raster(tmp_path / "tile.tif", np.full((8, 8), 1800))
    output = tmp_path / "answers"
    stream = StreamAnswerer(job_for(rasters_model, output, "chips"), ExampleModel.load)
    stream.add_message(ImageMessage("east", (tmp_path / "tile.tif").read_bytes()), 1000.0)
    stream.add_message(ImageMessage("west", b"II*\x00"), 1000.0)
    stream.close(1001.0)
    assert classes_in(output) == {"east": "bright"}
    west = letters_in(output)["west"]
    assert west["uri"] == ""
    assert "skymill-stream" not in west["detail"]


@pytest.mark.parametrize(
    ("line", "key", "fault"),
    [
        (b"[1]", "f:1", "not an object"),
        (b'{"image": "AA=="}', "f:1", "no key"),
        (b'{"key": "k"}', "k", "no image"),
        (b'{"key": "k", "image": "?"}', "k", "not base64"),
    ],
)
def test_a_line_that_holds_no_image_says_why_under_its_key(line, key, fault):
    found = message_of_line(line, "f:1")
    assert (found.key, found.image) == (key, None)
    assert fault in found.fault


def test_messages_of_brokers_keep_their_key():
    assert image_of_record((b"plot-7", b"bytes")) == ImageMessage("plot-7", b"bytes")
    assert image_of_record((b"plot-7", None)) == TICK  # a tombstone
    nameless = [message_of_record(None, it).key for it in (b"a", b"b", b"a")]
    assert nameless[0] == nameless[2] != nameless[1], "delivered twice is named twice alike"
    event = PubsubMessage(b"bytes", {"key": "plot-7"}, message_id="12")
    assert image_of_event(event) == ImageMessage("plot-7", b"bytes")
    assert message_of_event(b"bytes", {}, "12").key == "12"


def test_a_queue_is_read_once_whole_and_goes_on_after_a_restart(tmp_path):
    queue = tmp_path / "queue"
    queue.mkdir()
    first = queue / "1.jsonl"
    first.write_text(line_of("a", b"A"))
    watch = MessageWatch(str(queue))
    assert list(watch.look()) == []
    first.write_text(line_of("a", b"A") + "\n" + line_of("b", b"B"))
    assert list(watch.look()) == [], "it is still written"
    assert [it.key for it in watch.look()] == ["a", "b"]
    assert list(watch.look()) == []
    again = MessageWatch(str(first), answered={f"{first}:1"})
    assert [[it.key for it in again.look()] for _ in range(3)] == [[], ["b"], []]


def test_a_stream_forgets_what_is_gone_and_keeps_what_cannot_be_listed(tmp_path):
    paths = [str(tmp_path / name) for name in ("1.png", "2.png", "locked/3.png")]
    (tmp_path / "locked").mkdir()
    for path in paths:
        Path(path).touch()
    settling = Settling()
    assert [list(settling.arrived(paths)) for _ in range(3)] == [[], sorted(paths), []]
    locked = str(tmp_path / "locked")
    assert list(settling.arrived(paths[1:2], (locked,))) == []
    assert settling._known == set(paths[1:])
    assert [list(settling.arrived(paths)) for _ in range(2)] == [[], paths[:1]]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["queue", "--messages", "images", "--pubsub", "s"], "leave SOURCE out"),
        (["--messages", "images"], "name a SOURCE"),
        (["--pubsub", "s"], "name a SOURCE"),
        (["queue", "--kafka", "localhost:9092"], "stream: give kafka and topic together"),
    ],
)
def test_where_images_come_from_must_be_said_once(photographs_model, arguments, fault):
    given = [*arguments, "-o", "answers", "--model-base", str(photographs_model)]
    done = CliRunner().invoke(command, given)
    said = f"{done.output} {done.exception}"
    assert fault in said
    assert "Value error" not in said


@pytest.mark.slow
def test_a_queue_of_images_is_answered_by_a_runner(photographs_model, tmp_path):
    queue, output = tmp_path / "queue", tmp_path / "answers"
    queue.mkdir()
    (queue / "1.jsonl").write_text(line_of("dark", image_of(20)) + line_of("broken", b"none"))
    job = job_for(photographs_model, output, delay_s=0.1, window_s=1)

    def send_once_there_are_answers() -> None:
        while not list(output.glob("predictions-*.parquet")):
            time.sleep(0.1)
        (queue / "2.jsonl").write_text(line_of("bright", image_of(230)))

    sender = threading.Thread(target=send_once_there_are_answers)
    sender.start()
    with beam.Pipeline(options=PipelineOptions([_RUNNER])) as pipeline:
        _ = (
            pipeline
            | beam.Create([str(queue)])
            | beam.ParDo(WatchMessages(str(output), poll_s=0.5, looks=30))
            | beam.ParDo(AnswerImages(job))
        )
    sender.join()
    assert classes_in(output) == {"dark": "dark", "bright": "bright"}
    assert set(letters_in(output)) == {"broken"}
