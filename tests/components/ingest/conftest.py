"""Folders of images, and ingest run on them as the pipeline runs it."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import tensorflow as tf

from components.gate.report import GateReport
from components.ingest.executor import run_ingest
from components.ingest.records.reject import Reject
from components.ingest.records.summary import IngestSummary
from components.node.beam import make_pipeline


@dataclass(frozen=True)
class Outcome:
    """The output of one ingest."""

    examples_dir: Path
    rejects_dir: Path
    summary: IngestSummary

    def shards(self, split: str) -> dict[str, bytes]:
        files = sorted((self.examples_dir / f"Split-{split}").iterdir())
        return {file.name: file.read_bytes() for file in files}

    def examples(self, split: str) -> list[tf.train.Example]:
        files = sorted(str(it) for it in (self.examples_dir / f"Split-{split}").iterdir())
        records = tf.data.TFRecordDataset(files)
        return [tf.train.Example.FromString(record.numpy()) for record in records]

    def keys(self, split: str) -> list[str]:
        return [text(example, "image/key") for example in self.examples(split)]

    def rejects(self) -> dict[str, Reject]:
        lines = [
            line
            for file in sorted(self.rejects_dir.glob("rejects-*.jsonl"))
            for line in file.read_text().splitlines()
        ]
        return {reject.key: reject for reject in map(Reject.from_json, lines)}

    def report(self) -> GateReport:
        return GateReport.read(self.rejects_dir / "report.json")

    def classes(self) -> list[str]:
        names: list[str] = json.loads((self.examples_dir / "classes.json").read_text())
        return names


def text(example: tf.train.Example, name: str) -> str:
    value: bytes = example.features.feature[name].bytes_list.value[0]
    return value.decode()


@pytest.fixture
def ingest(tmp_path):
    """Returns a function that runs ingest: `ingest(config, "name", *beam_args)` is its Outcome."""

    def run(config, name="run", *beam_args):
        places = tmp_path / name / "examples", tmp_path / name / "rejects"
        summary = run_ingest(
            config,
            None,
            *map(str, places),
            lambda: make_pipeline(["--runner=FnApiRunner", *beam_args]),
        )
        return Outcome(*places, summary)

    return run


def picture(number: int) -> bytes:
    """Returns a JPEG that is unique to its number."""
    pixels = np.random.default_rng(number).integers(0, 256, (16, 20, 3)).astype(np.uint8)
    data: bytes = simplejpeg.encode_jpeg(pixels)
    return data


@pytest.fixture
def folders(tmp_path):
    """Two classes with sixty pictures each."""
    for number in range(120):
        path = tmp_path / "data" / ("forest", "river")[number % 2] / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number))
    return tmp_path / "data"
