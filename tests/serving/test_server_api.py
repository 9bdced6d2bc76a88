"""The server's answers, compared with what TensorFlow Serving documents and says."""

import asyncio
import base64
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.server.app import serving
from serving.server.config import ServerConfig
from serving.server.errors import ListenError
from tests.serving.conftest import RunningServer, copy_version, wait_until
from tests.serving.models import BLUE, CLASSES, GREEN, RED

SETTINGS: dict[str, Any] = {
    "labels": {"stable": 4, "canary": "latest", "gone": 99},
    "max_request_bytes": 100_000,
}


@pytest.fixture(scope="module")
def server(
    serve_versions: Callable[..., RunningServer], colours: Path, numbers_model: Path
) -> RunningServer:
    return serve_versions({4: numbers_model, 5: colours}, **SETTINGS)


@pytest.fixture(scope="module", params=["grpcio", "ngh2"])
def grpc_server(
    serve_versions: Callable[..., RunningServer],
    colours: Path,
    numbers_model: Path,
    request: pytest.FixtureRequest,
) -> RunningServer:
    library = {"grpc_library": request.param}
    return serve_versions({4: numbers_model, 5: colours}, **SETTINGS, **library)


def ask(server: RunningServer, path: str, body: Any = None) -> tuple[int, Any]:
    """A REST request: the HTTP status and the answer's JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(server.rest + path, data=data, timeout=30) as response:
            assert response.headers["Content-Type"].startswith("application/json")
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def b64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def test_rows_over_rest(server: RunningServer) -> None:
    status, answer = ask(server, "/v1/models/m:predict", {"instances": [b64(RED), b64(BLUE)]})
    assert status == 200
    assert [row["class"] for row in answer["predictions"]] == ["red", "blue"]
    assert answer["predictions"][0].keys() == {"class", "probabilities", "classes"}
    assert answer["predictions"][0]["classes"] == list(CLASSES)
    named = [{"image_bytes": b64(RED)}, {"image_bytes": b64(BLUE)}]
    assert ask(server, "/v1/models/m:predict", {"instances": named}) == (200, answer)


def test_columns_over_rest(server: RunningServer) -> None:
    status, answer = ask(server, "/v1/models/m:predict", {"inputs": [b64(RED), b64(GREEN)]})
    assert (status, answer["outputs"]["class"]) == (200, ["red", "green"])
    assert answer["outputs"].keys() == {"class", "probabilities", "classes"}


def test_a_single_output_is_bare_and_bytes_are_base64(server: RunningServer) -> None:
    at = "/v1/models/m/labels/stable:predict"
    assert ask(server, at, {"instances": [1.0, 2.5]}) == (200, {"predictions": [2.0, 5.0]})
    assert ask(server, at, {"inputs": {"x": [1.0]}}) == (200, {"outputs": [2.0]})
    body = {"signature_name": "combine", "instances": [{"a": [1, 2], "b": 3}]}
    assert ask(server, at, body) == (
        200,
        {"predictions": [{"sum": 6.0, "raw_bytes": b64(b"Mw")}]},
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        (
            "/v1/models/other:predict",
            {"instances": [1]},
            404,
            "Servable not found for request: Latest(other)",
        ),
        (
            "/v1/models/m/versions/77:predict",
            {"instances": [1]},
            404,
            "Servable not found for request: Specific(m, 77)",
        ),
        (
            "/v1/models/m/labels/nightly:predict",
            {"instances": [1]},
            400,
            "Unrecognized servable version label: nightly",
        ),
        (
            "/v1/models/m/labels/gone:predict",
            {"instances": [1]},
            404,
            "Servable not found for request: Specific(m, 99)",
        ),
        (
            "/v1/models/m:predict",
            {"signature_name": "nope", "instances": [1]},
            400,
            'Serving signature name: "nope" not found in signature def',
        ),
        ("/v1/models/m:explode", {"instances": [1]}, 400, "Malformed request: POST "),
        ("/v1/models/m:classify", {"examples": [{}]}, 501, "classify is not served"),
        ("/v1/models/m:predict", b"{", 400, "JSON Parse error"),
        ("/v1/models/m/versions/77", None, 404, "Could not find version 77 of model m"),
        ("/v1/models/other", None, 404, "Could not find any versions of model other"),
        ("/v1/models/other/metadata", None, 404, "Servable not found for request: Latest(other)"),
        ("/v1/models", None, 400, "Missing model name in request."),
        ("/v1/nonsense", None, 400, "Malformed request: GET /v1/nonsense"),
        ("/elsewhere", None, 404, "Not Found"),
        ("/v1/models/m:predict", b"x" * 200_000, 413, "larger than 100000 bytes"),
    ],
)
def test_rest_errors(server: RunningServer, path: str, body: Any, status: int, error: str) -> None:
    got, answer = ask(server, path, body)
    assert got == status
    assert answer.keys() == {"error"}
    assert answer["error"].startswith(error) or error in answer["error"]


def test_a_bad_image_over_rest(server: RunningServer) -> None:
    status, answer = ask(server, "/v1/models/m:predict", {"instances": [b64(RED), b64(b"x")]})
    assert status == 400
    assert answer["error"].startswith("Unknown image file format.")
    assert "[" not in answer["error"]


def test_model_status_over_rest(server: RunningServer) -> None:
    available = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    expected = [{"version": "5", **available}, {"version": "4", **available}]
    assert ask(server, "/v1/models/m") == (200, {"model_version_status": expected})
    assert ask(server, "/V1/models/m/labels/stable") == (200, {"model_version_status": expected})
    assert ask(server, "/v1/models/m/versions/4") == (
        200,
        {"model_version_status": expected[1:]},
    )


def test_metadata_over_rest(server: RunningServer) -> None:
    status, answer = ask(server, "/v1/models/m/versions/4/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "m", "signature_name": "", "version": "4"}
    definition = answer["metadata"]["signature_def"]["signature_def"]["combine"]
    assert definition["method_name"] == "tensorflow/serving/predict"
    assert definition["inputs"]["a"] == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {
            "dim": [{"size": "-1", "name": ""}, {"size": "2", "name": ""}],
            "unknown_rank": False,
        },
        "name": "combine_a:0",
    }


def test_prometheus_metrics(server: RunningServer) -> None:
    ask(server, "/v1/models/m:predict", {"instances": [b64(RED)]})
    ask(server, "/v1/models/other:predict", {"instances": [1]})
    with urllib.request.urlopen(f"{server.rest}/monitoring/prometheus/metrics") as response:
        page = response.read().decode()
    values = {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in page.splitlines() if line[0] != "#")
    }
    requests = "skymill_serving_requests_total"
    assert values[f'{requests}{{method="Predict",protocol="rest",status="OK"}}'] >= 1
    assert values[f'{requests}{{method="Predict",protocol="rest",status="NOT_FOUND"}}'] >= 1
    latency = "skymill_serving_request_latency_seconds_count"
    assert values[f'{latency}{{method="Predict",protocol="rest"}}'] >= 2
    assert values["skymill_serving_model_version"] == 5
    assert values["skymill_serving_loaded_versions"] == 2
    assert values["skymill_serving_batch_rows_count"] >= 1
    assert values["skymill_serving_queued_rows"] == 0
    assert values["skymill_serving_load_failures_total"] == 0


def test_an_answer_over_rest_that_takes_too_long_is_given_up_and_counted(
    serve_versions: Callable[..., RunningServer], colours: Path
) -> None:
    impatient = serve_versions({5: colours}, request_timeout_s=1e-6)
    status, answer = ask(impatient, "/v1/models/m:predict", {"instances": [b64(RED)]})
    assert (status, answer) == (504, {"error": "No answer within 1e-06 s"})
    with urllib.request.urlopen(f"{impatient.rest}/monitoring/prometheus/metrics") as response:
        page = response.read().decode()
    counted = 'requests_total{method="Predict",protocol="rest",status="DEADLINE_EXCEEDED"} 1.0'
    assert counted in page


@pytest.fixture
def channel(grpc_server: RunningServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(grpc_server.grpc.removeprefix("grpc://")) as channel:
        yield channel


def test_a_call_that_ends_without_a_message(channel: grpc.Channel) -> None:
    call = channel.stream_unary("/tensorflow.serving.PredictionService/Predict")
    with pytest.raises(grpc.RpcError) as caught:
        call(iter(()), timeout=30)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == "There is no message in the call"


def predict_request(name: str = "m", **inputs: Any) -> Any:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def test_predict_with_tensorflow_servings_own_client(channel: grpc.Channel) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    response = stub.Predict(predict_request(image_bytes=[RED, GREEN]), timeout=30)
    assert response.model_spec.name == "m"
    assert response.model_spec.signature_name == "serving_default"
    assert response.model_spec.version.value == 5
    assert response.outputs.keys() == {"class", "probabilities", "classes"}
    assert tf.make_ndarray(response.outputs["class"]).tolist() == [b"red", b"green"]
    assert tf.make_ndarray(response.outputs["probabilities"]).shape == (2, 3)


def test_versions_labels_signatures_and_filters_over_grpc(channel: grpc.Channel) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = predict_request(a=[[1.0, 2.0]], b=tf.constant([3], tf.int64))
    request.model_spec.signature_name = "combine"
    request.model_spec.version_label = "stable"
    request.output_filter.append("sum")
    response = stub.Predict(request, timeout=30)
    assert response.model_spec.version.value == 4
    assert {k: list(v.float_val) for k, v in response.outputs.items()} == {"sum": [6.0]}
    canary = predict_request(image_bytes=[RED])
    canary.model_spec.version_label = "canary"
    assert stub.Predict(canary, timeout=30).model_spec.version.value == 5


def wrong(change: Callable[[Any], None], **inputs: Any) -> Any:
    request = predict_request(**(inputs or {"x": [1.0]}))
    request.model_spec.version.value = 4
    change(request)
    return request


@pytest.mark.parametrize(
    ("request_", "code", "details"),
    [
        (
            predict_request("other", x=[1.0]),
            "NOT_FOUND",
            "Servable not found for request: Latest(other)",
        ),
        (predict_request("", x=[1.0]), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            wrong(lambda r: setattr(r.model_spec.version, "value", 9)),
            "NOT_FOUND",
            "Servable not found for request: Specific(m, 9)",
        ),
        (
            wrong(lambda r: setattr(r.model_spec, "signature_name", "nope")),
            "FAILED_PRECONDITION",
            'Serving signature key "nope" not found.',
        ),
        (
            wrong(lambda r: r.output_filter.append("z")),
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
        ),
        (
            wrong(lambda r: r.output_filter.extend(["y", "y"])),
            "INVALID_ARGUMENT",
            "duplicate output tensor alias",
        ),
        (
            wrong(lambda r: None, z=[1.0]),
            "INVALID_ARGUMENT",
            "Sent extra: {z}. Missing but required: {x}.",
        ),
        (wrong(lambda r: None, x=[b"text"]), "INVALID_ARGUMENT", "string, expected float"),
    ],
)
def test_grpc_errors(channel: grpc.Channel, request_: Any, code: str, details: str) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request_, timeout=30)
    assert caught.value.code() is grpc.StatusCode[code]
    assert details in caught.value.details()


def test_what_is_not_served_says_so(channel: grpc.Channel) -> None:
    prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    model = model_service_pb2_grpc.ModelServiceStub(channel)
    calls: list[tuple[Any, Any]] = [
        (prediction.Classify, classification_pb2.ClassificationRequest()),
        (prediction.Regress, regression_pb2.RegressionRequest()),
        (prediction.MultiInference, inference_pb2.MultiInferenceRequest()),
        (model.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest()),
    ]
    for call, request in calls:
        with pytest.raises(grpc.RpcError) as caught:
            call(request, timeout=30)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_status_and_metadata_over_grpc(channel: grpc.Channel) -> None:
    status_request = get_model_status_pb2.GetModelStatusRequest()
    status_request.model_spec.name = "m"
    model = model_service_pb2_grpc.ModelServiceStub(channel)
    statuses = model.GetModelStatus(status_request, timeout=30).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert [(s.version, s.state) for s in statuses] == [(5, available), (4, available)]

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "m"
    prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    response = prediction.GetModelMetadata(request, timeout=30)
    assert response.model_spec.version.value == 5
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert signatures.signature_def["serving_default"].inputs["image_bytes"].dtype == 7

    for fields, says in ([], "at least one metadata_field"), (["weights"], "weights is not"):
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
        request.model_spec.name = "m"
        with pytest.raises(grpc.RpcError) as caught:
            prediction.GetModelMetadata(request, timeout=30)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert says in caught.value.details()


def test_a_message_that_is_too_large(channel: grpc.Channel) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(predict_request(image_bytes=[b"x" * 200_000]), timeout=30)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_health_follows_the_model(
    serve: Callable[..., RunningServer], base: Path, numbers_model: Path
) -> None:
    server = serve(base)
    with grpc.insecure_channel(server.grpc.removeprefix("grpc://")) as channel:
        stub = health_pb2_grpc.HealthStub(channel)

        def state(service: str) -> str:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
            return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

        services = ("", "tensorflow.serving.PredictionService")
        assert [state(service) for service in services] == ["NOT_SERVING"] * 2
        assert ask(server, "/v1/models/m")[0] == 404
        copy_version(numbers_model, base, 1)
        wait_until(lambda: state("") == "SERVING")
        assert state(services[1]) == "SERVING"
        assert ask(server, "/v1/models/m")[0] == 200


@pytest.mark.parametrize("port_name", ["grpc_port", "rest_port"])
def test_a_port_that_is_taken(base: Path, port_name: str) -> None:
    async def start(port: int) -> None:
        ports = {"grpc_port": 0, "rest_port": 0, port_name: port}
        async with serving(ServerConfig(model_base=base, **ports)):
            pytest.fail("it must not start")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{port} .*Choose another port"):
            asyncio.run(start(port))


def test_a_model_of_tensorflow_1(
    serve: Callable[..., RunningServer], shared_data: Callable[[str], Path]
) -> None:
    """TensorFlow Serving's own first example; its documentation gives the answer."""
    server = serve(shared_data("models/saved_model_half_plus_two_cpu"), model_name="half")
    wait_until(lambda: ask(server, "/v1/models/half")[0] == 200)
    wait_until(lambda: ask(server, "/v1/models/half/metadata")[0] == 200)
    assert ask(server, "/v1/models/half:predict", {"instances": [1.0, 2.0, 5.0]}) == (
        200,
        {"predictions": [2.5, 3.0, 4.5]},
    )
