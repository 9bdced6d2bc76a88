"""Progress of a run: a line for each node, and a live line that follows the training."""

import glob
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from pipelines.local.record import NodeRecord
from trainer.training.progress import RESUMED_FILE, member_label, resumed_text

_MARKS = {
    "complete": "[green]done[/]  ",
    "cached": "[cyan]cached[/]",
    "failed": "[red]failed[/]",
    "stopped": "[red]stop[/]  ",
}


class NodeProgress:
    """Prints a line when a node ends; on a terminal a live line shows the running node.

    Args:
        console: output; anything but a terminal gets whole lines only.
        followed: globs of the files to which a training appends a JSON line per epoch, and a
            search one per trial.
    """

    def __init__(self, console: Console, *followed: str) -> None:
        self._console = console
        self._followed = followed
        self._status: Status | None = None
        self._ended = threading.Event()
        self._resumed = set(_beside(followed, RESUMED_FILE))  # of trainings before this one
        self._display_lock = threading.Lock()

    def show_stage(self, text: str) -> None:
        """Shows a text, before the first node and after the last."""
        self._move(text)

    def observe(self, node: NodeRecord) -> None:
        """Handles a node's start or end."""
        if node.state == "running":
            self._move(node.node_id)
            return
        self.close()
        mark = _MARKS.get(node.state, node.state)
        self._console.print(f"  {mark} {node.node_id:<20} {node.seconds:6.1f} s")

    def close(self) -> None:
        """Ends the live line."""
        self._ended.set()
        self._report_resumed()  # the thread may not have read it yet
        if self._status:
            self._status.stop()
            self._status = None

    def _move(self, text: str) -> None:
        self.close()
        self._ended = threading.Event()
        if self._console.is_terminal:
            self._status = self._console.status(escape(text))
            self._status.start()
        args = (text, time.time(), self._ended, self._status)
        threading.Thread(target=self._follow, args=args, daemon=True).start()

    def _follow(
        self, text: str, began: float, ended: threading.Event, status: Status | None
    ) -> None:
        shown = ""
        while not ended.wait(0.5):
            self._report_resumed()
            line = _last_line(self._followed, since=began)
            if status:
                status.update(f"{escape(text)} {time.time() - began:.0f} s  {escape(line)}")
            elif line != shown:
                self._console.print(f"         {escape(line)}")
            shown = line

    def _report_resumed(self) -> None:
        """Prints a permanent line, once for each training that resumes from a checkpoint."""
        with self._display_lock:
            for path in set(_beside(self._followed, RESUMED_FILE)) - self._resumed:
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                if text.endswith("}"):  # else it is still being written
                    self._resumed.add(path)
                    self._console.print(f"         {resumed_text(**json.loads(text))}")


def _beside(patterns: Iterable[str], name: str) -> Iterator[str]:
    """Yields the files with a given name in the folders of the followed files."""
    for pattern in patterns:
        yield from glob.iglob(os.path.join(os.path.dirname(pattern), name), recursive=True)


def _last_line(patterns: Iterable[str], since: float) -> str:
    """Returns the newest epoch or trial recorded since a moment, as readable text."""
    found = (path for pattern in patterns for path in glob.glob(pattern, recursive=True))
    files = [path for path in found if os.path.getmtime(path) >= since]
    if not files:
        return ""
    newest = max(files, key=os.path.getmtime)
    with open(newest, encoding="utf-8") as file:
        lines = [line for line in file if line.endswith("\n")]
    if not lines:
        return ""
    epoch = json.loads(lines[-1])
    if "trial" in epoch:
        return _trial(epoch, len(lines))
    # The task's first metric is its headline metric.
    both = (name for name in epoch if f"val_{name}" in epoch and name != "loss")
    metric = next(both, "loss")
    shown = dict.fromkeys((metric, f"val_{metric}", "val_loss"))
    scores = "  ".join(f"{name} {epoch[name]:.3f}" for name in shown)
    member = member_label(os.path.dirname(newest))
    return (
        f"{member}epoch {epoch['epoch']}/{epoch['epochs']}  {scores}  {epoch['duration_s']:.0f} s"
    )


def _trial(row: Mapping[str, Any], ended: int) -> str:
    if row["objective"] is None:
        return f"trial {ended}/{row['trials']}  failed"
    scores = f"{row['name']} {row['objective']:.4f}  best {row['best']:.4f}"
    return f"trial {ended}/{row['trials']}  {scores}  {row['seconds']:.0f} s"
