"""A Beam step whose workers are elsewhere works in a folder that both see."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.photographs.config import FoldersSource
from components.raster.errors import DataError
from pipelines.config.beam import IN_PROCESS, workers_elsewhere
from pipelines.kubeflow.contract.signature import InputType, NodeSignature
from pipelines.kubeflow.step.entrypoint import _main, guarded, run_step

EXAMPLES = "tfx.types.standard_artifacts.Examples"
INGEST = NodeSignature(
    executor="components.ingest.executor.Executor",
    inputs={},
    outputs={"examples": EXAMPLES, "rejects": "components.gate.artifact.Rejects"},
    parameters={"config": "STRING", "fingerprint": "STRING"},
)
STATISTICS = NodeSignature(
    executor="components.statistics.executor.Executor",
    inputs={
        "examples": InputType(EXAMPLES),
        "schema": InputType("tfx.types.standard_artifacts.Schema", optional=True),
    },
    outputs={"statistics": "tfx.types.standard_artifacts.ExampleStatistics"},
    parameters={"config": "STRING"},
)


def handed_over(parameters: dict, inputs: dict, outputs: tuple[str, ...]) -> dict:
    written = {
        name: {"artifacts": [{"name": name, "uri": f"minio://bucket/{name}"}]} for name in outputs
    }
    return {
        "inputs": {"parameterValues": parameters, "artifacts": inputs},
        "outputs": {"artifacts": written, "outputFile": ""},
    }


@pytest.mark.slow
def test_files_go_there_and_come_back_and_nothing_stays(tmp_path: Path) -> None:
    folder, exchange = tmp_path / "images", tmp_path / "shared"
    for number in range(40):
        path = folder / ("field", "roof")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(path)
    config = IngestConfig(source=FoldersSource(uri=str(folder)))
    values = {
        "config": config.model_dump_json(),
        "fingerprint": fingerprint_dataset(config.source),
    }
    given = handed_over(values, {}, ("examples", "rejects"))
    made = {}
    for name, place in (("plain", None), ("exchanged", str(exchange))):
        mounts = tmp_path / name
        output = run_step(INGEST, given, IN_PROCESS, str(mounts), place)
        read = {"examples": output["artifacts"]["examples"]}
        step = handed_over({"config": "{}"}, read, ("statistics",))
        statistics = run_step(STATISTICS, step, IN_PROCESS, str(mounts), place)
        root = mounts / "minio" / "bucket"
        files = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        made[name] = (output, statistics, files)
    assert made["exchanged"] == made["plain"]
    assert "examples/classes.json" in made["plain"][2]
    assert "statistics/Split-train/FeatureStats.pb" in made["plain"][2]
    assert list(exchange.iterdir()) == []


def test_a_step_that_fails_leaves_nothing_either(tmp_path: Path) -> None:
    exchange = tmp_path / "shared"
    config = IngestConfig(source=FoldersSource(uri=str(tmp_path / "no")))
    values = {"config": config.model_dump_json(), "fingerprint": "f"}
    given = handed_over(values, {}, ("examples", "rejects"))
    with pytest.raises(DataError):
        run_step(INGEST, given, IN_PROCESS, str(tmp_path), str(exchange))
    assert list(exchange.iterdir()) == []


def test_a_step_that_is_told_to_stop_leaves_nothing_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exchange = tmp_path / "shared"
    signature = NodeSignature(
        executor="tests.kubeflow.probe.Stopped",
        inputs={},
        outputs={"made": EXAMPLES},
        parameters={},
    )
    given = json.dumps(handed_over({}, {}, ("made",)))
    argv = ["--signature", signature.to_json(), "--executor-input", given]
    # Whatever the step does with the signal, it does not end the tests.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        code = guarded(lambda: _main([*argv, "--exchange", str(exchange)], str(tmp_path)))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert code == 128 + signal.SIGTERM
    assert capsys.readouterr().err == "The step was stopped (SIGTERM).\n"
    assert list(exchange.iterdir()) == []
    assert not (tmp_path / "minio/bucket/made/half").exists()


@pytest.mark.parametrize(
    ("args", "elsewhere"),
    [
        (IN_PROCESS, False),
        (("--direct_num_workers=4",), False),
        (("--runner", "DirectRunner"), False),
        (("--runner=FlinkRunner", "--environment_type=LOOPBACK"), False),
        (("--runner=FlinkRunner",), True),
        (("--runner", "DataflowRunner"), True),
        (("--runner=apache_beam.runners.portability.spark_runner.SparkRunner",), True),
    ],
)
def test_runners_whose_workers_are_elsewhere(args: tuple[str, ...], elsewhere: bool) -> None:
    assert workers_elsewhere(args) is elsewhere
