"""Predictions of a stream on Beam: messages or a watched folder to windows of files."""

import time
from collections.abc import Iterator
from functools import partial

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

from components.ingest.config import IngestConfig
from pipelines.prediction.config import PredictionConfig
from pipelines.prediction.model import ExampleModel, PinnedModel
from pipelines.prediction.stream import (
    FolderWatch,
    StreamAnswerer,
    StreamJob,
    Written,
    answered_in,
    refused_in,
)

#: Element between arrivals: time has passed.
TICK = ""


class WatchFolder(beam.DoFn):
    """IngestConfig as JSON -> the files that arrive in its folder, and `TICK` after each look.

    Runners in one process hand each element on as it is yielded, so that answers do not wait.

    Args:
        output: where answers lie; what has one already is left out.
        poll_s: between looks.
        looks: how many; None never ends.
    """

    def __init__(self, output: str, poll_s: float, looks: int | None = None) -> None:
        self._output, self._poll_s, self._looks = output, poll_s, looks

    def process(self, reading: str) -> Iterator[str]:
        config = IngestConfig.model_validate_json(reading)
        watch = FolderWatch(config, answered_in(self._output), refused_in(self._output))
        done = 0
        while self._looks is None or done < self._looks:
            yield from watch.look()
            watch.write_rejects(self._output)
            yield TICK
            done += 1
            time.sleep(self._poll_s)


class AnswerImages(beam.DoFn):
    """Addresses of images -> the windows that were written.

    A bundle's end writes what there is, so that no answer outlives its bundle: a runner that
    repeats a bundle may answer an image twice, and never loses one.
    """

    def __init__(self, job: StreamJob) -> None:
        self._job = job
        self._shared = Shared()

    def setup(self) -> None:
        self._answerer = StreamAnswerer(self._job, self._load)

    def _load(self, ref: PinnedModel) -> ExampleModel:
        model: ExampleModel = self._shared.acquire(partial(ExampleModel.load, ref), ref.identity)
        return model

    def process(self, uri: str) -> Iterator[Written]:
        now = time.time()
        yield from self._answerer.tick(now) if uri == TICK else self._answerer.add(uri, now)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for written in self._answerer.close(time.time()):
            yield GlobalWindows.windowed_value(written)


class PredictStream(beam.PTransform):
    """Pipeline -> the windows that were written.

    Args:
        job: how images are answered.
        reading: names the folder that is watched where there are no messages.
        poll_s: between looks at it.
        pubsub: a subscription of Pub/Sub whose messages are addresses of images.
        kafka: servers of Kafka, whose messages are.
        topic: of Kafka.
    """

    def __init__(
        self,
        job: StreamJob,
        reading: IngestConfig,
        poll_s: float,
        pubsub: str | None = None,
        kafka: str | None = None,
        topic: str | None = None,
    ) -> None:
        super().__init__()
        self._job, self._reading, self._poll_s = job, reading, poll_s
        self._pubsub, self._kafka, self._topic = pubsub, kafka, topic

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        return self._arrivals(pipeline) | beam.ParDo(AnswerImages(self._job))

    def _arrivals(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Returns addresses of images; the connectors are Beam's own."""
        if self._pubsub:
            from apache_beam.io import ReadFromPubSub

            messages = pipeline | ReadFromPubSub(subscription=self._pubsub)
            return messages | beam.Map(address_of)
        if self._kafka:
            from apache_beam.io.kafka import ReadFromKafka

            servers = {"bootstrap.servers": self._kafka}
            records = pipeline | ReadFromKafka(servers, [self._topic])
            return records | beam.Values() | beam.Map(address_of)
        output = PredictionConfig.model_validate_json(self._job.config).output
        return (
            pipeline
            | beam.Create([self._reading.model_dump_json()])
            | beam.ParDo(WatchFolder(output, self._poll_s))
        )


def address_of(message: bytes | None) -> str:
    """Returns a message's address, whatever its bytes; a record without a value only takes time.

    A message that raised an error would be delivered again and again.
    """
    return TICK if message is None else message.decode(errors="backslashreplace").strip()
