"""`skymill stream`: predictions of images as they arrive."""

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.batch import for_workers, pipeline_config, prediction_settings
from pipelines.cli.options import LocalPath, config_option
from pipelines.cli.quiet import without_native_output

if TYPE_CHECKING:
    from apache_beam import Pipeline

#: Stands in for the source where messages hold the images.
_MESSAGES = "messages"
#: A minimum, so that polling does not keep a core busy.
_SECONDS = click.FloatRange(0.01, 86_400)


@click.command()
@click.argument("source", required=False)
@click.option(
    "-o", "--output", required=True, help="Folder for the answers, with one file per window."
)
@config_option
@click.option(
    "--model-base",
    type=LocalPath(path_type=Path),
    help="Folder of pushed versions; default: the configuration's.",
)
@click.option(
    "--kind",
    type=click.Choice(["images", "chips"]),
    help="Kind of SOURCE; default: according to the model.",
)
@click.option(
    "--messages",
    type=click.Choice(["addresses", "images"]),
    help="Messages name images below SOURCE (default), or contain the bytes of image files.",
)
@click.option("--pubsub", help="Read messages from this Pub/Sub subscription.")
@click.option(
    "--kafka", help="Read messages from Kafka: HOST:PORT of its servers, separated by commas."
)
@click.option("--topic", help="Topic of --kafka.")
@click.option("--group", help="Consumer group of --kafka. Default: skymill.")
@click.option(
    "--begin",
    type=click.Choice(["oldest", "newest"]),
    help="With --kafka: the message to begin with if the group has no offset. Default: oldest.",
)
@click.option("--batch", type=click.IntRange(1), help="Number of images in a batch.")
@click.option(
    "--delay",
    "delay_s",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    help="Seconds that an image waits for others of its batch.",
)
@click.option(
    "--window",
    "window_s",
    type=_SECONDS,
    default=60.0,
    show_default=True,
    help="Seconds of answers in one file.",
)
@click.option(
    "--poll",
    "poll_s",
    type=_SECONDS,
    default=5.0,
    show_default=True,
    help="Seconds between looks at SOURCE.",
)
@click.option(
    "--refresh",
    "refresh_s",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="Seconds between looks for a new model.",
)
@without_native_output
def command(
    source: str | None,
    output: str,
    config_path: str,
    model_base: Path | None,
    kind: str | None,
    messages: str | None,
    pubsub: str | None,
    kafka: str | None,
    topic: str | None,
    group: str | None,
    begin: str | None,
    batch: int | None,
    delay_s: float,
    window_s: float,
    poll_s: float,
    refresh_s: float,
) -> None:
    """Predict images as they arrive below SOURCE, until you stop the command.

    A file has arrived when it has not changed between two looks. With --pubsub or --kafka, messages
    contain the images' addresses, which must be below SOURCE. With --messages images, the messages
    contain the images, and there is no SOURCE; without a broker they are lines of JSON in the files
    of SOURCE. A newly pushed model is used without a restart. Images without an answer are lines of
    rejects-*.jsonl. After a restart, answered images are skipped.
    """
    from apache_beam import Pipeline
    from apache_beam.options.pipeline_options import PipelineOptions

    from pipelines.config.beam import BeamConfig, unbounded_options
    from pipelines.prediction.config import StreamInput
    from pipelines.prediction.fitting import reading_for
    from pipelines.prediction.model import find_model
    from pipelines.prediction.stream import StreamJob, only_stream_into
    from pipelines.prediction.stream_transforms import PredictStream

    config = pipeline_config(config_path, needed=model_base is None)
    base = str(model_base) if model_base else config.model_base if config else ""
    known = config.prediction.stream if config and config.prediction else StreamInput()
    broker = {"messages": messages, "pubsub": pubsub, "kafka": kafka, "topic": topic}
    broker |= {"group": group, "begin": begin}
    stream = {**known.model_dump(), **{name: it for name, it in broker.items() if it}}
    given: dict[str, Any] = {"output": output, "model_base": base, "stream": stream}
    given |= {"batch": batch} if batch else {}
    place = _MESSAGES if source is None or stream["messages"] == "images" else source
    settings = prediction_settings(config, place, kind, base, given)
    arriving = settings.stream
    brings_all = arriving.has_broker and arriving.messages == "images"
    if brings_all == (source is not None):
        raise click.UsageError(
            "messages of a broker hold the images: leave SOURCE out"
            if brings_all
            else "name a SOURCE: the folder that is watched, or where named images lie"
        )
    reading = reading_for(settings, find_model(base, None)[1])
    job = StreamJob(settings.model_dump_json(), base, delay_s, window_s, refresh_s)
    options = [*(config.beam if config else BeamConfig()).options]
    options += unbounded_options(options) if arriving.has_broker else []
    arrivals = PredictStream(job, reading, for_workers(source, config) or "", poll_s)
    # An error of a step is raised here too; Beam's own report would repeat it, also for Ctrl-C.
    logging.getLogger("apache_beam.runners.common").setLevel(logging.CRITICAL)
    watched = arriving.pubsub or arriving.kafka or source
    click.echo(f"watching {watched}; answers go to {output}")
    pipeline = Pipeline(options=PipelineOptions(options))
    alone = nullcontext() if arriving.has_broker else only_stream_into(settings.output)
    try:
        with alone, pipeline:
            _ = pipeline | arrivals
    except BaseException as error:  # Beam wraps the error of a step
        _cancel(pipeline)
        if not isinstance(error, Exception):
            raise
        if not _is_stop(error):
            raise
        raise KeyboardInterrupt from error


def _cancel(pipeline: "Pipeline") -> None:
    """Cancels the engine's job, which would outlive the command."""
    job = getattr(pipeline, "result", None)
    try:
        if job is not None:
            job.cancel()
    except Exception as error:  # any error of the engine's client
        click.echo(f"the engine's job may still run: it could not be cancelled: {error}", err=True)


def _is_stop(error: BaseException | None) -> bool:
    """Checks whether an error was caused by a signal to stop."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False
