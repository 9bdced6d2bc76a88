"""Predictions of a stream on Beam: messages or a watched folder to windows of files."""

import itertools
import time
from collections.abc import Iterator
from functools import partial

import apache_beam as beam
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

from components.ingest.config import IngestConfig
from pipelines.prediction.config import PredictionConfig
from pipelines.prediction.messages import (
    ImageMessage,
    MessageWatch,
    message_of_event,
    message_of_record,
)
from pipelines.prediction.model import ExampleModel, PinnedModel
from pipelines.prediction.stream import (
    FolderWatch,
    StreamAnswerer,
    StreamJob,
    WrittenWindow,
    answered_in,
    refused_in,
)

#: Element that marks the passing of time between arrivals.
TICK = ""


class WatchFolder(beam.DoFn):
    """IngestConfig as JSON -> the files that arrive in its folder, and `TICK` after each look.

    Runners in one process pass on each element as it is yielded, so that answers do not wait.

    Args:
        output: folder of the answers; files that have one are skipped.
        poll_s: seconds between looks.
        looks: number of looks; None is unlimited.
    """

    def __init__(self, output: str, poll_s: float, looks: int | None = None) -> None:
        self._output, self._poll_s, self._looks = output, poll_s, looks

    def process(self, reading: str) -> Iterator[str]:
        config = IngestConfig.model_validate_json(reading)
        watch = FolderWatch(config, answered_in(self._output), refused_in(self._output))
        for _ in _times(self._looks, self._poll_s):
            yield from watch.look()
            watch.write_rejects(self._output)
            yield TICK


class WatchMessages(beam.DoFn):
    """Path of a local queue -> the messages that arrive there, and `TICK` after each look.

    Args:
        output, poll_s, looks: as for `WatchFolder`.
    """

    def __init__(self, output: str, poll_s: float, looks: int | None = None) -> None:
        self._output, self._poll_s, self._looks = output, poll_s, looks

    def process(self, place: str) -> Iterator[ImageMessage | str]:
        watch = MessageWatch(place, answered_in(self._output))
        for _ in _times(self._looks, self._poll_s):
            yield from watch.look()
            yield TICK


def _times(looks: int | None, poll_s: float) -> Iterator[int]:
    """Counts the looks, with a pause after each."""
    for number in itertools.count() if looks is None else range(looks):
        yield number
        time.sleep(poll_s)


class AnswerImages(beam.DoFn):
    """Addresses of images, or messages that hold them -> the windows that were written.

    The end of a bundle writes all pending answers, so that none outlives its bundle: a runner
    that repeats a bundle may answer an image twice, but never loses one.
    """

    def __init__(self, job: StreamJob) -> None:
        self._job = job
        self._shared = Shared()

    def setup(self) -> None:
        self._answerer = StreamAnswerer(self._job, self._load)

    def _load(self, ref: PinnedModel) -> ExampleModel:
        model: ExampleModel = self._shared.acquire(partial(ExampleModel.load, ref), ref.identity)
        return model

    def process(self, arrival: ImageMessage | str) -> Iterator[WrittenWindow]:
        now = time.time()
        if isinstance(arrival, ImageMessage):
            yield from self._answerer.add_message(arrival, now)
        elif arrival == TICK:
            yield from self._answerer.tick(now)
        else:
            yield from self._answerer.add(arrival, now)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for written in self._answerer.close(time.time()):
            yield GlobalWindows.windowed_value(written)


class PredictStream(beam.PTransform):
    """Pipeline -> the windows that were written.

    Args:
        job: settings of the answers; its configuration names the origin of the images.
        reading: settings of a folder that is watched.
        place: folder or file of messages that hold images, where no broker delivers them.
        poll_s: seconds between looks at either.
    """

    def __init__(self, job: StreamJob, reading: IngestConfig, place: str, poll_s: float) -> None:
        super().__init__()
        self._job, self._reading, self._place, self._poll_s = job, reading, place, poll_s

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        return self._arrivals(pipeline) | beam.ParDo(AnswerImages(self._job))

    def _arrivals(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Returns addresses of images, or messages that hold them; the connectors are Beam's."""
        config = PredictionConfig.model_validate_json(self._job.config)
        given, holds_images = config.stream, config.stream.messages == "images"
        if given.pubsub:
            from apache_beam.io import ReadFromPubSub

            events = pipeline | ReadFromPubSub(
                subscription=given.pubsub, with_attributes=holds_images
            )
            return events | beam.Map(image_of_event if holds_images else address_of)
        if given.kafka:
            from apache_beam.io.kafka import ReadFromKafka

            # Beam's commit of offsets (commit_offset_in_finalize) is left out: with it, Flink reads
            # no further than the messages that are there at the start. Kafka's own, which the
            # connector leaves on, commits what was fetched and may never be answered.
            consumer = {
                "bootstrap.servers": given.kafka,
                "group.id": given.group,
                "enable.auto.commit": "false",
                "auto.offset.reset": "earliest" if given.begin == "oldest" else "latest",
            }
            records = pipeline | ReadFromKafka(consumer, [given.topic])
            if holds_images:
                return records | beam.Map(image_of_record)
            return records | beam.Values() | beam.Map(address_of)
        if holds_images:
            watch = WatchMessages(config.output, self._poll_s)
            return pipeline | beam.Create([self._place]) | beam.ParDo(watch)
        return (
            pipeline
            | beam.Create([self._reading.model_dump_json()])
            | beam.ParDo(WatchFolder(config.output, self._poll_s))
        )


def address_of(message: bytes | None) -> str:
    """Returns the address in a message of any bytes; a `TICK` for a record without a value.

    A message that raised an error would be delivered again and again.
    """
    return TICK if message is None else message.decode(errors="backslashreplace").strip()


def image_of_record(record: tuple[bytes | None, bytes | None]) -> ImageMessage | str:
    """Returns the image in a Kafka record; a `TICK` for one without a value."""
    key, value = record
    return TICK if value is None else message_of_record(key, value)


def image_of_event(event: PubsubMessage) -> ImageMessage:
    """Returns the image in a Pub/Sub event."""
    return message_of_event(event.data, event.attributes or {}, event.message_id or "")
