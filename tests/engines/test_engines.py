"""Beam steps on engines of their own, with workers in a process of their own, give the same bytes.

`make flink` brings Beam's job server with Flink inside, `make prism` Beam's own portable runner.
Beam starts the engine on loopback and ends it; what is not there is skipped.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest

from components.ingest.config import FoldersSource, IngestConfig
from components.statistics.compute import Split, compute_statistics
from components.statistics.config import StatisticsConfig
from tests.components.ingest.conftest import folders, ingest  # noqa: F401

pytestmark = pytest.mark.slow

SPLITS = ("train", "eval", "test")


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


@pytest.fixture(params=["flink", "prism"])
def engine(request: pytest.FixtureRequest, repository: Path, workers: str) -> list[str]:
    """Beam's options for one engine and the worker pool."""
    tools = repository / ".tools" / "beam"
    pool = ["--environment_type=EXTERNAL", f"--environment_config={workers}"]
    if request.param == "prism":
        program = tools / "prism"
        if not program.exists():
            pytest.skip("needs Beam's Prism: make prism")
        return ["--runner=PrismRunner", f"--prism_location={program}", *pool]
    jars = sorted(tools.glob("beam-runners-flink-*-job-server-*.jar"))
    if not jars:
        pytest.skip("needs Beam's job server for Flink: make flink")
    if shutil.which("java") is None:
        pytest.skip("needs Java")
    flink = [f"--flink_job_server_jar={jars[-1]}", "--flink_master=[local]", "--parallelism=2"]
    return ["--runner=FlinkRunner", *flink, *pool]


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
