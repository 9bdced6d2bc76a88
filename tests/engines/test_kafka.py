"""`skymill stream` reads a real broker by Beam's connector, on Flink with workers elsewhere.

`make kafka flink` brings the broker, the connector and Flink. What is not there is skipped.
"""

import base64
import json
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from tests.engines.conftest import free_port, wait_for
from tests.engines.stream import Stream, until
from tests.prediction import models
from tests.prediction.conftest import archive, photographs_model  # noqa: F401

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
Message = tuple[bytes | None, bytes | None]


class Kafka:
    """A broker with one node, and the connector, each in a process of its own."""

    def __init__(self, jars: Path, folder: Path) -> None:
        self._java = ["java", "-Xmx512m", "-cp", f"{jars}/*"]
        self._folder = folder
        self.server = f"localhost:{free_port()}"

    @contextmanager
    def broker(self) -> Iterator[None]:
        """Formats a store, and runs the broker."""
        controller = f"localhost:{free_port()}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{self.server},CONTROLLER://{controller}",
            "controller.listener.names": "CONTROLLER",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "log.dirs": str(self._folder / "logs"),
        }
        file = self._folder / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = [*self._java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(file)]
        subprocess.run(tool, check=True, capture_output=True, timeout=60)
        log = self._folder / "broker.log"
        with (
            log.open("w") as reported,
            subprocess.Popen(
                [*self._java, "kafka.Kafka", str(file)], stdout=reported, stderr=reported
            ) as process,
        ):
            try:
                wait_for(int(self.server.rpartition(":")[2]), process, log)
                yield
            finally:
                process.terminate()

    @contextmanager
    def connector(self) -> Iterator[str]:
        """Runs the connector; yields its address."""
        with (
            (self._folder / "connector.log").open("w") as reported,
            subprocess.Popen(
                [*self._java, str(HERE / "Connector.java")],
                stdout=subprocess.PIPE,
                stderr=reported,
                text=True,
            ) as process,
        ):
            assert process.stdout is not None
            try:
                yield process.stdout.readline().strip()
            finally:
                process.terminate()

    def send(self, topic: str, messages: Sequence[Message]) -> None:
        """Sends messages of a key and a value, one after another."""
        lines = ["\t".join(map(_line_of, message)) + "\n" for message in messages]
        subprocess.run(
            [*self._java, str(HERE / "Produce.java"), self.server, topic],
            input="".join(lines),
            text=True,
            check=True,
            capture_output=True,
            timeout=120,
        )


def _line_of(value: bytes | None) -> str:
    return "-" if value is None else base64.b64encode(value).decode()


@pytest.fixture(scope="module")
def kafka(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    jars = repository / ".tools" / "beam" / "kafka"
    if not jars.exists():
        pytest.skip("needs a Kafka broker and Beam's connector: make kafka")
    if shutil.which("javac") is None:
        pytest.skip("needs a Java development kit of version 11 or newer")
    given = Kafka(jars, tmp_path_factory.mktemp("kafka"))
    with given.broker():
        yield given


def states_of_jobs(options: Sequence[str]) -> set[str]:
    """Returns the states of all jobs of a job server."""
    [address] = [it.partition("=")[2] for it in options if it.startswith("--job_endpoint=")]
    with grpc.insecure_channel(address) as channel:
        found = beam_job_api_pb2_grpc.JobServiceStub(channel).GetJobs(
            beam_job_api_pb2.GetJobsRequest(), timeout=20
        )
    return {beam_job_api_pb2.JobState.Enum.Name(it.state) for it in found.job_info}


@pytest.fixture
def engine(flink: list[str], workers: str) -> list[str]:
    return [*flink, "--environment_type=EXTERNAL", f"--environment_config={workers}"]


@pytest.fixture
def stream(
    kafka: Kafka,
    engine: list[str],
    photographs_model: Path,  # noqa: F811
    tmp_path: Path,
) -> Iterator[Stream]:
    shutil.copytree(photographs_model, tmp_path / "models")
    with kafka.connector() as connector:
        service = json.dumps({"sdks:java:io:expansion-service:shadowJar": connector})
        yield Stream(tmp_path, [*engine, f"--beam_services={service}"])


def test_images_in_messages_are_answered_and_a_pushed_model_is_taken_up(
    kafka: Kafka,
    stream: Stream,
    engine: list[str],
    archive: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    dark, bright = ((archive / name).read_bytes() for name in ("site/00.png", "site/38.png"))
    # Before the stream starts: a topic keeps them, and none may be lost.
    kafka.send(
        "images",
        [
            (b"dark", dark),
            (b"bright", bright),
            (b"bad", b"no image"),
            (b"gone", None),
            (None, dark),
        ],
    )
    with stream.of("--messages", "images", "--kafka", kafka.server, "--topic", "images"):
        until(lambda: len(stream.rows()) == 3 and bool(stream.letters()), "three answers")
        models.save_for_photographs(tmp_path / "made", turned=True)
        (tmp_path / "made").rename(tmp_path / "models/4")
        kafka.send("images", [(b"late", dark)])
        until(lambda: "late" in stream.rows(), "an answer of version 4")
        assert states_of_jobs(engine) == {"RUNNING"}
    until(lambda: states_of_jobs(engine) == {"CANCELLED"}, "the job ends with the command")
    rows = stream.rows()
    [digest] = rows.keys() - {"dark", "bright", "late"}
    assert digest.startswith("sha256-")
    assert {key: row["class"] for key, row in rows.items()} == {
        "dark": "dark",
        "bright": "bright",
        digest: "dark",
        "late": "bright",
    }
    assert (rows["dark"]["model_version"], rows["late"]["model_version"]) == (3, 4)
    assert stream.letters() == {"bad": "unsupported_format"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stream_that_is_started_again_loses_no_message(
    kafka: Kafka,
    stream: Stream,
    engine: list[str],
    archive: Path,  # noqa: F811
    number: signal.Signals,
) -> None:
    image = (archive / "site/00.png").read_bytes()
    topic, keys = f"again-{number.name}", [f"plot-{place}" for place in range(200)]
    arguments = ["--messages", "images", "--kafka", kafka.server, "--topic", topic]
    kafka.send(topic, [(key.encode(), image) for key in keys[:100]])
    with stream.of(*arguments, ends_by=number):
        until(lambda: bool(stream.rows()), "an answer")
        kafka.send(topic, [(key.encode(), image) for key in keys[100:190]])  # are under way
    # A kill of the command alone leaves the engine's job running beside the next one.
    left = {"CANCELLED"} if number == signal.SIGTERM else {"RUNNING"}
    until(lambda: states_of_jobs(engine) == left, "the job ends with the command, if it can")
    kafka.send(topic, [(key.encode(), image) for key in keys[190:]])
    with stream.of(*arguments):
        until(lambda: stream.rows().keys() == set(keys), "an answer to each message")
        until(lambda: stream.answers()[keys[0]] > 1, "the topic's messages are answered again")


def test_messages_name_images_of_the_source_alone(
    kafka: Kafka,
    stream: Stream,
    archive: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    dark, broken = str(archive / "site/00.png"), str(archive / "loose.jpg")
    outside = str(tmp_path / "secret.png")
    shutil.copy(dark, outside)
    kafka.send("names", [(None, it.encode()) for it in (dark, broken, outside)])
    with stream.of(str(archive), "--kafka", kafka.server, "--topic", "names"):
        until(lambda: len(stream.rows()) == 1 and len(stream.letters()) == 2, "an answer")
    assert {key: row["class"] for key, row in stream.rows().items()} == {dark: "dark"}
    assert stream.letters() == {broken: "corrupt", outside: "outside_source"}
