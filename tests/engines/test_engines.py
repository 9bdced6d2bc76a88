"""Beam steps on engines of their own, with workers in a process of their own, give the same bytes.

`make flink` brings Beam's job server with Flink inside, `make prism` Beam's own portable runner.
What is not there is skipped.
"""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest

from components.evaluation.analysis import evaluate
from components.evaluation.config import EvaluationConfig
from components.ingest.config import IngestConfig
from components.ingest.fingerprint import fingerprint_dataset
from components.ingest.photographs.config import FoldersSource
from components.node.files import split_folder
from components.node.records import shards
from components.statistics.compute import Split, compute_statistics
from components.statistics.config import StatisticsConfig
from pipelines.config.beam import IN_PROCESS
from pipelines.kubeflow.step.entrypoint import run_step
from tests.components.ingest.conftest import folders, ingest  # noqa: F401
from tests.components.models import example, save_model, write_split
from tests.kubeflow.test_exchange import INGEST, handed_over

pytestmark = pytest.mark.slow

SPLITS = ("train", "eval", "test")
# What Flink's serialisation looks into, which Java 17 keeps closed.
OPENED = ("java.lang", "java.net", "java.nio", "java.time", "java.util", "sun.nio.ch")


@pytest.fixture(scope="module")
def workers(repository: Path) -> Iterator[str]:
    """The address of a worker pool, which both engines use as a cluster's sidecar is used."""
    command = [sys.executable, "-m", "tests.engines.worker_pool"]
    with subprocess.Popen(
        command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as pool:
        assert pool.stdout is not None
        try:
            yield pool.stdout.readline().strip()
        finally:
            pool.terminate()


@pytest.fixture
def prism(repository: Path) -> list[str]:
    """Beam's options for its own portable runner, which Beam starts and ends itself."""
    program = repository / ".tools" / "beam" / "prism"
    if not program.exists():
        pytest.skip("needs Beam's Prism: make prism")
    return ["--runner=PrismRunner", f"--prism_location={program}"]


@pytest.fixture
def flink(repository: Path, tmp_path: Path) -> Iterator[list[str]]:
    """Beam's options for a job server on loopback with a cluster of Flink's inside."""
    jars = repository / ".tools" / "beam" / "flink"
    if not jars.exists():
        pytest.skip("needs Beam's job server for Flink: make flink")
    if shutil.which("java") is None:
        pytest.skip("needs Java 11 or 17")
    jobs, artifacts = free_port(), free_port()
    command = ["java", "-Xmx1g", *(f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in OPENED)]
    command += ["-cp", f"{jars}/*", "org.apache.beam.runners.flink.FlinkJobServerDriver"]
    command += ["--flink-master=[local]", "--job-host=localhost", "--expansion-port=-1"]
    command += [f"--job-port={jobs}", f"--artifact-port={artifacts}"]
    log = tmp_path / "flink.log"
    with (
        log.open("w") as told,
        subprocess.Popen(
            [*command, f"--artifacts-dir={tmp_path / 'artifacts'}"], stdout=told, stderr=told
        ) as server,
    ):
        try:
            wait_for(jobs, server, log)
            yield [
                "--runner=PortableRunner",
                f"--job_endpoint=localhost:{jobs}",
                f"--artifact_endpoint=localhost:{artifacts}",
                "--parallelism=2",
            ]
        finally:
            server.terminate()


@pytest.fixture(params=["flink", "prism"])
def engine(request: pytest.FixtureRequest, workers: str) -> list[str]:
    """Beam's options for one engine and the worker pool."""
    options: list[str] = request.getfixturevalue(request.param)
    return [*options, "--environment_type=EXTERNAL", f"--environment_config={workers}"]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until a server listens; fails with its log when it ends, or after a minute."""
    for _ in range(600):
        assert server.poll() is None, log.read_text()[-2000:]
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text()[-2000:])


def test_ingest_and_statistics_are_those_of_a_local_run(
    folders: Path,  # noqa: F811
    ingest,  # noqa: F811
    engine: list[str],
    tmp_path: Path,
) -> None:
    (folders / "river" / "page.jpg").write_text("<html>404</html>")
    shutil.copy(folders / "river" / "001.jpg", folders / "forest" / "copy.jpg")
    config = IngestConfig(source=FoldersSource(uri=str(folders)), shards=5)
    here = ingest(config, "here")
    there = ingest(config, "there", *engine)
    for split in SPLITS:
        assert there.shards(split) == here.shards(split)
        assert here.examples(split)
    assert there.rejects() == here.rejects()
    assert len(there.rejects()) == 2, "a page, and one of two labels for one image"
    assert there.summary == here.summary

    paths = tuple(str(path) for path in sorted((here.examples_dir / "Split-train").iterdir()))
    files = {name: tmp_path / name / "FeatureStats.pb" for name in ("here", "there")}
    beam_always = StatisticsConfig(in_memory_max_bytes=0)
    for name, options in (("here", ["--runner=FnApiRunner"]), ("there", engine)):
        places = compute_statistics(
            [Split("train", paths, str(files[name]))],
            beam_always,
            lambda options=options: beam.Pipeline(argv=options),
        )
        assert places == {"train": "beam"}
    assert files["there"].read_bytes() == files["here"].read_bytes()


def test_a_step_of_a_package_works_in_the_folder_that_workers_see(
    folders: Path,  # noqa: F811
    engine: list[str],
    tmp_path: Path,
) -> None:
    config = IngestConfig(source=FoldersSource(uri=str(folders)))
    fingerprint = fingerprint_dataset(config.source)
    values = {"config": config.model_dump_json(), "fingerprint": fingerprint}
    given = handed_over(values, {}, ("examples", "rejects"))
    made = []
    for name, options in (("here", list(IN_PROCESS)), ("there", engine)):
        exchange = str(tmp_path / "exchange") if name == "there" else None
        run_step(INGEST, given, options, str(tmp_path / name), exchange)
        root = tmp_path / name / "minio" / "bucket"
        made.append({str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*.*")})
    assert made[0] == made[1]
    assert "examples/classes.json" in made[0]
    assert list((tmp_path / "exchange").iterdir()) == []


def test_evaluation_is_that_of_a_local_run(engine: list[str], tmp_path: Path) -> None:
    for name, shift in (("candidate", 0.0), ("baseline", 0.3)):
        save_model(tmp_path / name, ("dark", "light"), shift=shift)
    rows = [
        example(0.1 + 0.8 * (number % 2), ("dark", "light")[number % 3 % 2], {"half": half})
        for number, half in enumerate(12 * ["one"] + 12 * ["two"])
    ]
    write_split(tmp_path / "examples", "test", rows)
    config = EvaluationConfig(slices=(("half",),))
    here, there = (
        evaluate(
            config,
            shards(split_folder(str(tmp_path / "examples"), "test")),
            str(tmp_path / "candidate"),
            str(tmp_path / "baseline"),
            str(tmp_path / name),
            lambda options=options: beam.Pipeline(argv=options),
            baseline_version=1,
        )
        for name, options in (("here", ["--runner=FnApiRunner"]), ("there", engine))
    )
    assert there.confusion == here.confusion
    assert [one.key for one in there.slices] == [one.key for one in here.slices]
    assert len(here.slices) == 3
    for ours, theirs in zip(here.slices, there.slices, strict=True):  # sums in another order
        assert theirs.candidate == pytest.approx(ours.candidate, rel=1e-9, nan_ok=True)
        assert theirs.baseline == pytest.approx(ours.baseline, rel=1e-9, nan_ok=True)
    assert here.overall is not None
    assert here.overall.candidate["example_count"] == 24
