"""New, broken, half-copied and removed versions, while requests keep coming."""

import shutil
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.client import ClientError, PredictClient, connect
from serving.store.versions import push_version
from tests.serving.conftest import RunningServer, copy_version, wait_until
from tests.serving.models import RED


@pytest.fixture
def client_of() -> Iterator[Callable[[str], PredictClient]]:
    clients: list[PredictClient] = []

    def make(address: str) -> PredictClient:
        clients.append(connect(address, model="m", retries=0))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@contextmanager
def load(clients: list[PredictClient]) -> Iterator[list[int]]:
    """Sends requests without pause; returns the versions that answered; errors fail the test."""
    versions: list[int] = []
    errors: list[BaseException] = []
    stop = threading.Event()

    def ask(client: PredictClient) -> None:
        while not stop.is_set():
            try:
                [prediction] = client.predict([RED])
                assert prediction.model_version is not None
                expected = "blue" if prediction.model_version % 2 == 0 else "red"
                assert prediction.class_name == expected
                versions.append(prediction.model_version)
            except BaseException as error:
                errors.append(error)
                return

    threads = [threading.Thread(target=ask, args=(client,)) for client in clients for _ in "12"]
    for thread in threads:
        thread.start()
    try:
        yield versions
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert errors == []


def test_versions_swap_under_load_without_a_failed_request(
    serve: Callable[..., RunningServer],
    client_of: Callable[[str], PredictClient],
    base: Path,
    colours: Path,
    always_blue: Path,
) -> None:
    """Odd versions know their colours, even ones find everything blue."""
    push_version(colours, base, expected_baseline=None)
    server = serve(base)
    clients = [client_of(server.grpc), client_of(server.rest)]
    wait_until(lambda: clients[1].served_version() == 1)
    with load(clients) as versions:
        for version, model in ((2, always_blue), (3, colours), (4, always_blue)):
            push_version(model, base, expected_baseline=version - 1, keep=1)
            wait_until(lambda version=version: version in versions[-4:])  # type: ignore[misc]
    assert set(versions) == {1, 2, 3, 4}
    wait_until(lambda: [s.state for s in clients[0].status()] == ["AVAILABLE", *["END"] * 3])
    assert {s.error_code for s in clients[0].status()} == {"OK"}


def break_variables(version: Path) -> None:
    shutil.rmtree(version / "variables")


def break_graph(version: Path) -> None:
    (version / "saved_model.pb").write_bytes(b"not a graph")


def break_tag(version: Path) -> None:
    (version / "saved_model.pb").write_bytes(b"")


@pytest.mark.parametrize("break_it", [break_variables, break_graph, break_tag])
def test_a_broken_version_is_reported_and_the_old_one_serves(
    serve: Callable[..., RunningServer],
    client_of: Callable[[str], PredictClient],
    base: Path,
    colours: Path,
    break_it: Callable[[Path], None],
) -> None:
    copy_version(colours, base, 1)
    server = serve(base)
    client = client_of(server.grpc)
    wait_until(lambda: client.served_version() == 1)
    hidden = base / ".copy"
    shutil.copytree(colours, hidden)
    break_it(hidden)
    with load([client]) as versions:
        hidden.rename(base / "3")
        wait_until(lambda: len(client.status()) == 2)
        wait_until(lambda: client.status(3)[0].state == "END")
        time.sleep(0.3)  # several looks: it is not tried over and over
    assert set(versions) == {1}
    broken, good = client.status()
    assert (broken.model_version, broken.state) == (3, "END")
    assert broken.error_code not in ("OK", "")
    assert str(base / "3") in broken.error_message
    assert (good.model_version, good.state, good.error_code) == (1, "AVAILABLE", "OK")
    with urllib.request.urlopen(f"{server.rest}/monitoring/prometheus/metrics") as response:
        assert b"skymill_serving_load_failures_total 1.0" in response.read()


def test_a_version_that_is_being_copied_is_loaded_once_it_is_whole(
    serve: Callable[..., RunningServer],
    client_of: Callable[[str], PredictClient],
    base: Path,
    colours: Path,
    always_blue: Path,
) -> None:
    """A copy by hand may be in any order; a server must not load half a model."""
    copy_version(always_blue, base, 2)
    client = client_of(serve(base).rest)
    wait_until(lambda: client.served_version() == 2)
    (base / "5").mkdir()
    shutil.copytree(colours / "variables", base / "5" / "variables")
    time.sleep(0.3)
    assert [s.model_version for s in client.status()] == [2]
    shutil.copy(colours / "saved_model.pb", base / "5")
    wait_until(lambda: client.served_version() == 5)

    (base / "7").mkdir()
    shutil.copy(colours / "saved_model.pb", base / "7")
    wait_until(lambda: any(s.model_version == 7 and s.state == "END" for s in client.status()))
    assert client.predict([RED])[0].model_version == 5
    shutil.copytree(colours / "variables", base / "7" / "variables")
    wait_until(lambda: client.served_version() == 7)


def test_the_last_good_version_outlives_its_files(
    serve: Callable[..., RunningServer],
    client_of: Callable[[str], PredictClient],
    base: Path,
    colours: Path,
    always_blue: Path,
) -> None:
    for version, model in ((1, colours), (2, always_blue)):
        copy_version(model, base, version)
    client = client_of(serve(base).grpc)
    wait_until(lambda: client.served_version() == 2)
    with load([client]) as versions:
        shutil.rmtree(base / "2")  # rolled back: the older one takes over
        wait_until(lambda: client.served_version() == 1)
        shutil.rmtree(base / "1")
        time.sleep(0.3)
        shutil.rmtree(base)
        time.sleep(0.3)
    assert versions[-1] == 1
    assert client.predict([RED])[0].model_version == 1


def test_labels_keep_their_versions_beside_the_newest(
    serve: Callable[..., RunningServer],
    client_of: Callable[[str], PredictClient],
    base: Path,
    colours: Path,
    always_blue: Path,
) -> None:
    copy_version(colours, base, 1)
    copy_version(always_blue, base, 2)
    server = serve(base, labels={"stable": 1, "canary": "latest"})
    client = client_of(server.rest)
    wait_until(lambda: len([s for s in client.status() if s.state == "AVAILABLE"]) == 2)
    copy_version(colours, base, 3)
    wait_until(lambda: client.served_version() == 3)
    wait_until(lambda: client.status(2)[0].state == "END")
    assert client.predict([RED], label="stable")[0].model_version == 1
    assert client.predict([RED], label="canary")[0].model_version == 3


def write_warmup(version: Path, *images: bytes) -> None:
    (version / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(
        str(version / "assets.extra" / "tf_serving_warmup_requests")
    ) as writer:
        for image in images:
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.model_spec.name = "any"
            log.predict_log.request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([image]))
            writer.write(log.SerializeToString())


def test_warm_up_requests_run_before_a_version_serves(
    serve: Callable[..., RunningServer],
    client_of: Callable[[str], PredictClient],
    base: Path,
    colours: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    write_warmup(copy_version(colours, base.parent, 1), RED, RED)
    (base.parent / "1").rename(base / "1")
    client = client_of(serve(base).grpc)
    wait_until(lambda: client.served_version() == 1)
    assert "2 warm-up requests" in caplog.text

    write_warmup(copy_version(colours, base.parent, 2), b"no image")
    (base.parent / "2").rename(base / "2")
    wait_until(lambda: len(client.status()) == 2 and client.status(2)[0].state == "END")
    assert "tf_serving_warmup_requests" in client.status(2)[0].error_message
    assert client.served_version() == 1


def test_one_bad_image_among_concurrent_requests_fails_alone(
    serve: Callable[..., RunningServer],
    client_of: Callable[[str], PredictClient],
    base: Path,
    colours: Path,
) -> None:
    copy_version(colours, base, 1)
    client = client_of(serve(base).grpc)
    wait_until(lambda: client.served_version() == 1)
    outcomes: list[str] = []

    def ask(image: bytes) -> None:
        try:
            outcomes.append(client.predict([image])[0].class_name)
        except ClientError as error:
            outcomes.append(type(error).__name__)

    with load([client]):
        for _ in range(5):
            images = [RED] * 7 + [b"bad"]
            threads = [threading.Thread(target=ask, args=(image,)) for image in images]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
    assert sorted(outcomes) == ["BadImage"] * 5 + ["red"] * 35


def test_a_released_model_is_gone_from_memory(
    serve: Callable[..., RunningServer],
    client_of: Callable[[str], PredictClient],
    base: Path,
    tmp_path: Path,
) -> None:
    """Versions of 64 MB each come and go; memory does not grow with their number."""

    class Large(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(tf.random.uniform([16 * 2**20]))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")], autograph=False)
        def add(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": x + self.weights[0]}

    model = Large()
    saved = tmp_path / "large"
    tf.saved_model.save(model, str(saved), signatures=model.add)
    del model
    client = client_of(serve(base).grpc)
    resident: list[int] = []
    for version in range(1, 7):
        copy_version(saved, base, version)
        wait_until(lambda version=version: client.served_version() == version)  # type: ignore[misc]
        client.predict_raw({"x": np.zeros(1, np.float32)})
        wait_until(
            lambda version=version: all(  # type: ignore[misc]
                s.state == "END" for s in client.status() if s.model_version != version
            )
        )
        shutil.rmtree(base / str(version - 1), ignore_errors=True)
        resident.append(_resident_mb())
    assert resident[-1] - resident[1] < 2 * 64


def _resident_mb() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    raise AssertionError("no VmRSS")
