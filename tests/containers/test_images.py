"""Contents of the images, and programs in them without network, root or a writable file system."""

import json
import os
import time
from pathlib import Path

import pytest
from docker.models.containers import Container
from docker.models.images import Image
from docker.types import Mount
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.photographs.config import FoldersSource
from tests.containers.engine import Engine, container, output
from tests.kubeflow.land_cover import COLOURS, make_images
from tests.kubeflow.test_exchange import INGEST, handed_over

pytestmark = pytest.mark.containers

#: The user of the images; and one of a cluster's choosing, who has no name.
USER, SOMEBODY = 65532, 40123
BUILD_TOOLS = "cc gcc g++ c++ cpp clang tcc ld as ar make cmake go rustc git curl wget pip pip3 uv"
COUNTS = """
import os, pathlib, sys
import tensorflow_data_validation, tensorflow_model_analysis as tfma, tfx
import components, pipelines, serving, trainer
from ml_metadata import proto
assert hasattr(tfma, "run_model_analysis")
assert os.getuid() == 40123
try:
    pathlib.Path(sys.prefix, "written").touch()
except OSError as error:
    print("read-only:", error.strerror)
pathlib.Path.home().joinpath("written").touch()
import tensorflow as tf
print("sum", int(tf.reduce_sum(tf.range(5))), "of", tf.__version__)
"""
CUDA = """
built = tf.sysconfig.get_build_info()
gpus = tf.config.list_physical_devices("GPU")
print(f"built for CUDA {built['cuda_version'].split('.')[0]}, {len(gpus)} GPUs")
"""
JOB = ["python", "-m", "pipelines.kubeflow.step.entrypoint"]
#: Beam's own job server within the step, and the pool beside it.
POOL = (
    "--runner=PortableRunner",
    "--job_endpoint=embed",
    "--environment_type=EXTERNAL",
    "--environment_config=localhost:50000",
)


@pytest.fixture(params=["pipeline", "beam", "serving"])
def image(request: pytest.FixtureRequest) -> Image:
    found: Image = request.getfixturevalue(f"{request.param}_image")
    return found


def test_an_image_says_what_it_is_and_starts_without_root(image: Image) -> None:
    config = image.attrs["Config"]
    assert config["User"].split(":")[0] not in ("", "0", "root")
    assert not config["Entrypoint"]
    assert config["Cmd"]
    labels = config["Labels"]
    name, version = image.tags[0].split(":")
    assert labels["org.opencontainers.image.title"] == name
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.base.name"]


def test_the_pipeline_image_has_everything_and_no_build_tools(
    engine: Engine, pipeline_image: Image
) -> None:
    name = pipeline_image.tags[0]
    search = f"for name in {BUILD_TOOLS}; do command -v $name; done; id -u; ls /build /opt"
    result = output(engine, name, ["sh", "-c", f"({search}) 2>&1; true"]).split("\n")
    assert result[0] == str(USER), result
    assert (
        {"skymill", "venv"}
        <= set(result)
        <= {str(USER), "skymill", "venv", "/opt:", *result[1:2], ""}
    )
    result = output(engine, name, ["python", "-W", "ignore", "-c", COUNTS], user=str(SOMEBODY))
    assert "read-only: Read-only file system" in result
    assert "sum 10 of 2." in result


def test_the_gpu_image_has_a_tensorflow_for_cuda_and_starts_without_a_gpu(
    engine: Engine, gpu_image: Image
) -> None:
    result = output(
        engine, gpu_image.tags[0], ["python", "-W", "ignore", "-c", COUNTS + CUDA], user="40123"
    )
    assert "sum 10 of 2." in result
    assert "built for CUDA 12, 0 GPUs" in result


def test_the_default_command_is_the_command_line(engine: Engine, pipeline_image: Image) -> None:
    result = output(engine, pipeline_image.tags[0], user=str(SOMEBODY))
    assert "compile" in result
    assert "Usage: skymill" in result


def test_the_serving_image_carries_the_configuration(
    engine: Engine, serving_image: Image, repository: Path
) -> None:
    result = output(engine, serving_image.tags[0], ["cat", "/config/models.config"])
    config = text_format.Parse(result, model_server_config_pb2.ModelServerConfig())
    [model] = config.model_config_list.config
    assert model.base_path == f"/models/{model.name}"
    files = sorted((repository / "docker" / "serving").glob("*.config"))
    paths = [f"/config/{path.name}" for path in files]
    assert output(engine, serving_image.tags[0], ["cat", *paths]) == "".join(
        path.read_text() for path in files
    )


def test_a_step_writes_the_same_bytes_with_workers_in_a_pool(
    engine: Engine, pipeline_image: Image, beam_image: Image, tmp_path: Path
) -> None:
    make_images(tmp_path / "images")
    tmp_path.chmod(0o755)
    for name in ("alone", "pool"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, USER, USER)
    shared = {"mounts": [Mount(str(tmp_path), str(tmp_path), type="bind")]}
    output(engine, pipeline_image.tags[0], step(tmp_path, "alone"), **shared)
    # Beam's job server tells workers its host's name, which means nothing without a network.
    with container(engine, beam_image.tags[0], hostname="localhost", **shared) as pool:
        wait_for(pool, 50000)
        beside = f"container:{pool.id}"
        job = [*step(tmp_path, "pool"), "--", *POOL]
        output(engine, pipeline_image.tags[0], job, **shared, network_mode=beside)
        log = pool.logs().decode()
    assert log.count("Starting worker with command") >= 1
    written = {}
    for name in ("alone", "pool"):
        root = tmp_path / name
        written[name] = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.*")}
        result = json.loads(written[name].pop("output.json"))
        summary = result["artifacts"]["examples"]["artifacts"][0]["metadata"]
        assert summary
    assert written["pool"] == written["alone"]
    assert json.loads(written["pool"]["examples/classes.json"]) == sorted(COLOURS)


def step(folder: Path, name: str) -> list[str]:
    """The command of ingest, which reads `images` and writes into the folder `name`."""
    config = IngestConfig(source=FoldersSource(uri=str(folder / "images")))
    fingerprint = fingerprint_dataset(config.source)
    given = handed_over({"config": config.model_dump_json(), "fingerprint": fingerprint}, {}, ())
    given["outputs"]["artifacts"] = {
        output: {"artifacts": [{"name": output, "uri": str(folder / name / output)}]}
        for output in INGEST.outputs
    }
    given["outputs"]["outputFile"] = str(folder / name / "output.json")
    return [*JOB, "--signature", INGEST.to_json(), "--executor-input", json.dumps(given)]


def wait_for(pool: Container, port: int) -> None:
    """Until a container listens."""
    ask = f"import socket; socket.create_connection(('localhost', {port})).close()"
    for _ in range(100):
        if pool.exec_run(["python", "-c", ask]).exit_code == 0:
            return
        pool.reload()
        assert pool.status == "running", pool.logs().decode()
        time.sleep(0.5)
    raise AssertionError(f"nothing listens on {port}: {pool.logs().decode()}")
