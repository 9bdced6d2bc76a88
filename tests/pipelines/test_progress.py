"""Output of a run in progress."""

import io
import json
from pathlib import Path

from pipelines.local.console import console_on
from pipelines.local.progress import NodeProgress
from pipelines.local.record import NodeRecord


def test_a_training_that_goes_on_from_a_checkpoint_says_so_once(tmp_path: Path) -> None:
    for attempt in ("1", "2/member_2"):
        (tmp_path / attempt).mkdir(parents=True)
    (tmp_path / "1/resumed.json").write_text(json.dumps({"epochs": 9, "steps": 0}))
    console = console_on(io.StringIO())
    progress = NodeProgress(console, str(tmp_path / "*" / "**" / "progress.jsonl"))
    progress.observe(NodeRecord("Trainer", "running"))
    (tmp_path / "2/member_2/resumed.json").write_text(json.dumps({"epochs": 4, "steps": 0}))
    progress.observe(NodeRecord("Trainer", "complete", 1.5))
    progress.observe(NodeRecord("Evaluation", "running"))
    progress.close()
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines == [
        "         resumed from epoch 4",
        "  done   Trainer                 1.5 s",
    ]
