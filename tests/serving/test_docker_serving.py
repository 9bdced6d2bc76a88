"""The files of production serving say what TensorFlow Serving's own formats allow."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)
from tensorflow_serving.config import model_server_config_pb2

from serving.server.rest_api import METRICS_PATH


@pytest.fixture
def folder(repository: Path) -> Path:
    return repository / "docker" / "serving"


@pytest.fixture
def service(folder: Path) -> dict[str, Any]:
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    service: dict[str, Any] = compose["services"]["serving"]
    return service


def flags(service: dict[str, Any]) -> dict[str, str]:
    return dict(flag.removeprefix("--").split("=", 1) for flag in service["command"])


def test_models_config_names_what_the_example_pushes(folder: Path, repository: Path) -> None:
    config = text_format.Parse(
        (folder / "models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    [model] = config.model_config_list.config
    example = yaml.safe_load((repository / "examples" / "landcover.yaml").read_text())
    assert model.name == example["name"]
    assert model.base_path == f"/models/{model.name}"
    assert model.model_platform == "tensorflow"
    assert model.model_version_policy.latest.num_versions == 1


def messages(*definitions: tuple[str, dict[str, tuple[int, str]]]) -> dict[str, Any]:
    """Messages that tensorflow-serving-api lacks, from the fields of the public .proto files."""
    file = descriptor_pb2.FileDescriptorProto(
        name="t.proto",
        package="t",
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    scalars = {"bool": 8, "string": 9}
    for name, fields in definitions:
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            added = message.field.add(name=field, number=number, label=1)
            if kind in scalars:
                added.type = scalars[kind]
            else:
                added.type = 11
                added.type_name = kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"t.{name}"))
        for name, _ in definitions
    }


def test_batching_config(folder: Path) -> None:
    names = (
        (1, "max_batch_size"),
        (2, "batch_timeout_micros"),
        (3, "max_enqueued_batches"),
        (4, "num_batch_threads"),
    )
    wrapper = ".google.protobuf.Int64Value"
    classes = messages(("Batching", {name: (number, wrapper) for number, name in names}))
    config = text_format.Parse((folder / "batching.config").read_text(), classes["Batching"]())
    assert config.max_batch_size.value >= 1
    assert config.batch_timeout_micros.value == 0
    assert config.num_batch_threads.value >= 1


def test_monitoring_config_is_where_the_embedded_server_has_it(folder: Path) -> None:
    classes = messages(
        ("Prometheus", {"enable": (1, "bool"), "path": (2, "string")}),
        ("Monitoring", {"prometheus_config": (1, ".t.Prometheus")}),
    )
    config = text_format.Parse((folder / "monitoring.config").read_text(), classes["Monitoring"]())
    assert config.prometheus_config.enable
    assert config.prometheus_config.path == METRICS_PATH


def test_the_image_is_pinned(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", service["image"])


def test_the_container_may_do_little(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service["user"].startswith(("0", "root"))
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert all(volume["read_only"] for volume in service["volumes"])


def test_flags_name_files_that_are_mounted(service: dict[str, Any], folder: Path) -> None:
    given = flags(service)
    mounted = {volume["target"]: volume["source"] for volume in service["volumes"]}
    assert mounted["/config"] == "."
    for flag in ("model_config_file", "monitoring_config_file"):
        assert given[flag].startswith("/config/")
        assert (folder / given[flag].removeprefix("/config/")).is_file()
    assert {port.rsplit(":", 1)[1] for port in service["ports"]} == {
        given["port"],
        given["rest_api_port"],
    }


def test_the_health_check_asks_for_the_models_status(service: dict[str, Any]) -> None:
    command = service["healthcheck"]["test"][-1]
    assert "GET /v1/models/${SKYMILL_MODEL:-landcover} HTTP/1.0" in command
    assert flags(service)["rest_api_port"] in command


def test_every_variable_is_explained(folder: Path) -> None:
    used = set(re.findall(r"\$\{(SKYMILL_\w+)", (folder / "compose.yaml").read_text()))
    assert used
    explained = (folder / "README.md").read_text()
    assert {name for name in used if f"`{name}`" not in explained} == set()
