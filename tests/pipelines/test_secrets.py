"""Credentials of a source are in nothing that a run prints or leaves behind."""

import contextlib
import os
from pathlib import Path

import yaml

from pipelines.config.tree import load_config
from pipelines.local.console import output_to_log
from pipelines.local.execute import execute
from pipelines.local.record import FAILED

SECRETS = ("someone", "hidden", "covert")
URI = "http://someone:hidden@127.0.0.1:9/m.csv?X-Amz-Signature=covert"


def test_a_run_tells_no_secret_of_its_source(tmp_path: Path, capfd) -> None:
    path = tmp_path / "skymill.yaml"
    tree = {
        "name": "land",
        "ingest": {"source": {"kind": "manifest", "uri": URI}},
        "push": {"model_dir": "models"},
    }
    path.write_text(f"# see {URI}\n{yaml.safe_dump(tree)}")
    record = execute(load_config(str(path)), str(path))
    message = capfd.readouterr()
    assert record.outcome == FAILED
    assert "http://***@127.0.0.1:9/m.csv?***" in record.reason
    left = [file for file in (tmp_path / "skymill").rglob("*") if file.is_file()]
    assert {"run.json", "summary.json", "page.html", "config.yaml"} <= {it.name for it in left}
    for text in (message.out, message.err, *(it.read_text() for it in left)):
        assert not [word for word in SECRETS if word in text]


def test_what_libraries_log_is_masked_when_the_run_ends(tmp_path: Path) -> None:
    log = tmp_path / "framework.log"
    with contextlib.suppress(ValueError), output_to_log(str(log)):
        os.write(2, f"HTTP 403 for {URI}\n".encode())
        os.write(1, b"\xff is not text\n")
        raise ValueError
    masked = b"HTTP 403 for http://***@127.0.0.1:9/m.csv?***\n"
    assert log.read_bytes() == masked + b"\xff is not text\n"
