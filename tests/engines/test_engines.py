"""Beam steps on engines of their own, with workers in a process of their own, give the same bytes.

`make flink` brings Beam's job server with Flink inside, `make prism` Beam's own portable runner.
What is not there is skipped.
"""

import shutil
from functools import partial
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
from pipelines.prediction.config import PredictionConfig
from pipelines.prediction.run import folder_of, plan_run, predict_archive
from tests.components.ingest.conftest import folders, ingest  # noqa: F401
from tests.components.models import example, save_model, write_split
from tests.kubeflow.test_exchange import INGEST, handed_over
from tests.prediction.conftest import archive, photographs_model  # noqa: F401

pytestmark = pytest.mark.slow

SPLITS = ("train", "eval", "test")


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


def test_predictions_take_over_what_a_run_elsewhere_has_answered(
    archive: Path,  # noqa: F811
    photographs_model: Path,  # noqa: F811
    engine: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("components.raster.file_state._LONGEST_TICK_NS", 0)
    tree = {
        "source": {"kind": "images", "uri": str(archive)},
        "output": str(tmp_path / "answers"),
        "shards": 2,
    }
    done = []
    for options in (engine, ["--runner=FnApiRunner"], engine):
        plan = plan_run(PredictionConfig.model_validate(tree), str(photographs_model))
        done.append(predict_archive(plan, folder_of(plan), partial(beam.Pipeline, argv=options)))
        shutil.copy(archive / "site/00.png", archive / f"late-{len(done)}.png")
    assert [(it.predictions, it.taken_over) for it in done] == [(40, 0), (41, 40), (42, 41)]
