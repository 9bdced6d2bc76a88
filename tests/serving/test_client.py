"""The client against a running server: both protocols, the same answers, errors that help."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.client import (
    BadImage,
    ClientError,
    InvalidRequest,
    ModelNotFound,
    PredictClient,
    ServerTimeout,
    ServerUnavailable,
    connect,
)
from tests.serving.conftest import RunningServer, copy_version, wait_until
from tests.serving.models import BLUE, CLASSES, GREEN, RED


@pytest.fixture(scope="module")
def server(
    serve_versions: Callable[..., RunningServer], colours: Path, numbers_model: Path
) -> RunningServer:
    versions = {7: colours, 6: numbers_model}
    return serve_versions(versions, labels={"stable": 7, "numbers": 6})


@pytest.fixture(params=["grpc", "rest"])
def client(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[PredictClient]:
    with connect(getattr(server, request.param), model="m") as client:
        yield client


def test_images_in_classes_out(client: PredictClient) -> None:
    predictions = client.predict([RED, GREEN, BLUE])
    assert [p.class_name for p in predictions] == ["red", "green", "blue"]
    assert {p.model_version for p in predictions} == {7}
    for prediction in predictions:
        assert tuple(prediction.probabilities) == CLASSES
        assert sum(prediction.probabilities.values()) == pytest.approx(1.0, abs=1e-6)
        assert max(prediction.probabilities, key=prediction.probabilities.__getitem__) == (
            prediction.class_name
        )


def test_both_protocols_give_equal_answers(server: RunningServer) -> None:
    with connect(server.grpc, model="m") as grpc, connect(server.rest, model="m") as rest:
        assert grpc.predict([RED, GREEN, BLUE]) == rest.predict([RED, GREEN, BLUE])
        assert grpc.metadata() == rest.metadata()
        assert grpc.status() == rest.status()
        inputs = {"a": np.array([[0.1, 0.2], [3, 4]], np.float32), "b": np.array([1, -2])}
        raw = [c.predict_raw(inputs, signature="combine", version=6).outputs for c in (grpc, rest)]
        assert raw[0].keys() == raw[1].keys() == {"sum", "raw_bytes"}
        for name in raw[0]:
            np.testing.assert_array_equal(raw[0][name], raw[1][name])
            assert raw[0][name].dtype == raw[1][name].dtype


def test_named_inputs_and_outputs(client: PredictClient) -> None:
    inputs = {"a": np.array([[1, 2], [3, 4]], np.float32), "b": np.array([10, 20])}
    answer = client.predict_raw(inputs, signature="combine", label="numbers")
    np.testing.assert_array_equal(answer.outputs["sum"], np.array([13, 27], np.float32))
    assert answer.outputs["raw_bytes"].tolist() == [b"MTA", b"MjA"]
    only = client.predict_raw(inputs, signature="combine", version=6, output_filter=["sum"])
    assert list(only.outputs) == ["sum"]
    single = client.predict_raw({"x": np.array([2.5], np.float32)}, version=6)
    np.testing.assert_array_equal(single.outputs["y"], np.array([5.0], np.float32))
    total = client.predict_raw({"x": np.array([1, 2, 4], np.float32)}, signature="total", version=6)
    assert total.outputs["total"].shape == ()
    assert total.outputs["total"] == 7.0


def test_metadata_names_types_and_shapes(client: PredictClient) -> None:
    metadata = client.metadata(version=7)
    assert metadata.model_version == 7
    info = metadata.signatures["serving_default"]
    assert (info.inputs["image_bytes"].dtype, info.inputs["image_bytes"].shape) == (
        "string",
        (None,),
    )
    assert (info.outputs["probabilities"].dtype, info.outputs["probabilities"].shape) == (
        "float",
        (None, 3),
    )


def test_status_tells_each_version(client: PredictClient) -> None:
    assert [(s.model_version, s.state, s.error_code) for s in client.status()] == [
        (7, "AVAILABLE", "OK"),
        (6, "AVAILABLE", "OK"),
    ]
    assert [s.model_version for s in client.status(6)] == [6]


def test_no_images_no_request(client: PredictClient) -> None:
    assert client.predict([]) == []


def test_a_bad_image_is_reported_in_the_models_words(client: PredictClient) -> None:
    with pytest.raises(BadImage, match="Unknown image file format"):
        client.predict([RED, b"not an image"])


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"version": 99}, ModelNotFound, "99"),
        ({"label": "nightly"}, ModelNotFound, "nightly"),
        ({"version": 6}, InvalidRequest, "input"),
        ({"signature": "nope"}, InvalidRequest, "nope"),
    ],
)
def test_wrong_requests(
    client: PredictClient, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        client.predict([RED], **arguments)


def test_an_unknown_model(server: RunningServer) -> None:
    for address in (server.grpc, server.rest):
        with connect(address, model="other") as client, pytest.raises(ModelNotFound, match="other"):
            client.predict([RED])


def test_arrays_that_cannot_be_sent(client: PredictClient) -> None:
    with pytest.raises(InvalidRequest, match="complex"):
        client.predict_raw({"x": np.array([1j])}, version=6)


def test_files_keep_their_order_and_bad_ones_their_place(
    client: PredictClient, tmp_path: Path
) -> None:
    contents = [RED, GREEN, b"junk", BLUE, b"", RED, GREEN]
    paths = [tmp_path / f"{index}.jpg" for index in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    paths.insert(1, tmp_path / "missing.jpg")
    results = list(client.predict_files(paths, batch_size=3, concurrency=2))
    assert [result.path for result in results] == paths
    names = [result.prediction and result.prediction.class_name for result in results]
    assert names == ["red", None, "green", None, "blue", None, "red", "green"]
    assert "No such file" in (results[1].error or "")
    assert "Unknown image file format" in (results[3].error or "")


def test_files_are_read_only_a_little_ahead(client: PredictClient, tmp_path: Path) -> None:
    path = tmp_path / "red.jpg"
    path.write_bytes(RED)
    taken = 0

    def paths() -> Iterator[Path]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield path

    results = client.predict_files(paths(), batch_size=4, concurrency=2)
    next(results)
    assert taken <= 4 * 4
    results.close()  # type: ignore[attr-defined]


def test_threads_share_a_client(client: PredictClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda image: client.predict([image]), [RED, GREEN, BLUE] * 10))
    assert [a[0].class_name for a in answers] == ["red", "green", "blue"] * 10


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_nobody_there(scheme: str) -> None:
    address = f"{scheme}://127.0.0.1:{free_port()}"
    with (
        connect(address, retries=1, timeout_s=5) as client,
        pytest.raises(ServerUnavailable, match=address),
    ):
        client.predict_raw({"x": np.zeros(1)}, version=1)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_server_that_comes_up_is_tried_again(
    scheme: str, serve: Callable[..., RunningServer], base: Path, colours: Path
) -> None:
    copy_version(colours, base, 1)
    port = free_port()
    with connect(f"{scheme}://127.0.0.1:{port}", model="m", retries=20) as client:
        later = threading.Timer(
            0.4, lambda: serve(base, **{"grpc_port" if scheme == "grpc" else "rest_port": port})
        )
        later.start()
        wait_until(lambda: client.served_version() == 1)
        later.join()
        assert client.predict([RED])[0].class_name == "red"


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_server_that_does_not_answer(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with (
            connect(address, timeout_s=0.3, retries=0) as client,
            pytest.raises(ServerTimeout, match=r"0\.3 s"),
        ):
            client.status()
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:8500", "ftp://h:1", "grpc://h", "http://h:8501/v1/models/m", "http://h:x"],
)
def test_addresses_of_another_form(address: str) -> None:
    with pytest.raises(ClientError, match="address"):
        connect(address)


def test_the_client_is_light() -> None:
    """No TensorFlow, and quick to import: 0.3 s is the aim, the bound here is for busy machines."""
    code = (
        "import sys, time; started = time.perf_counter()\n"
        "import serving.client, serving.client.grpc_transport, serving.client.rest_transport\n"
        "took = time.perf_counter() - started\n"
        "heavy = {'tensorflow', 'keras', 'tfx', 'tensorflow_serving', 'aiohttp', 'pydantic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert took < 2, took"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
