"""`skymill stream` reads a Pub/Sub server on loopback by Beam's connector, in its own process.

`make pubsub` brings the server, which is that of Google's client library; it is skipped without.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud import pubsub_v1

from tests.engines.stream import Stream, until
from tests.prediction import models
from tests.prediction.conftest import archive, photographs_model  # noqa: F401

pytestmark = pytest.mark.slow

TOPIC = "projects/skymill-test/topics/tiles"
SUBSCRIPTION = "projects/skymill-test/subscriptions/tiles"


@pytest.fixture
def server(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server with a topic and its subscription."""
    program = repository / ".tools" / "beam" / "pubsub"
    if not program.exists():
        pytest.skip("needs a Pub/Sub server: make pubsub")
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
            pubsub_v1.PublisherClient().create_topic(name=TOPIC)
            pubsub_v1.SubscriberClient().create_subscription(name=SUBSCRIPTION, topic=TOPIC)
            yield address
        finally:
            process.terminate()


def publish(data: bytes, **attributes: str) -> None:
    pubsub_v1.PublisherClient().publish(TOPIC, data, **attributes).result(60)


def test_images_in_messages_are_answered_and_a_pushed_model_is_taken_up(
    server: str,
    archive: Path,  # noqa: F811
    photographs_model: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    shutil.copytree(photographs_model, tmp_path / "models")
    dark, bright = ((archive / name).read_bytes() for name in ("site/00.png", "site/38.png"))
    publish(dark, key="dark")
    publish(bright, key="bright")
    publish(b"no image", key="bad")
    stream = Stream(tmp_path, ["--runner=DirectRunner"], {"PUBSUB_EMULATOR_HOST": server})
    with stream.of("--messages", "images", "--pubsub", SUBSCRIPTION):
        until(lambda: len(stream.rows()) == 2 and bool(stream.letters()), "two answers")
        models.save_for_photographs(tmp_path / "made", turned=True)
        (tmp_path / "made").rename(tmp_path / "models/4")
        publish(dark, key="late")
        until(lambda: "late" in stream.rows(), "an answer of version 4")
    found = {key: (row["class"], row["model_version"]) for key, row in stream.rows().items()}
    assert found == {"dark": ("dark", 3), "bright": ("bright", 3), "late": ("bright", 4)}
    assert stream.letters() == {"bad": "unsupported_format"}
