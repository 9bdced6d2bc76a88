"""Record of a run: its outcome, its nodes and the paths of their evidence (``run.json``)."""

import contextlib
import datetime
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from components.raster.errors import DataError
from components.raster.masking import masked
from pipelines.local.process_mark import mark_of

RECORD_FILE, CONFIG_FILE = "run.json", "config.yaml"
RUNNING, SUCCEEDED, BLOCKED, FAILED = "running", "succeeded", "blocked", "failed"


@dataclass(frozen=True)
class Artifact:
    """One output of a node: its type, its URI, and its id in the lineage store."""

    type_name: str
    uri: str
    artifact_id: int
    properties: dict[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class NodeRecord:
    """One node of a run.

    Attributes:
        state: ``running``, ``complete``, ``cached``, ``failed``, or ``stopped`` where a gate
            raised.
        inputs: artifact ids by channel: the edges of the lineage.
    """

    node_id: str
    state: str
    seconds: float = 0.0
    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    outputs: dict[str, tuple[Artifact, ...]] = field(default_factory=dict)

    def uri(self, channel: str) -> str:
        """Returns the URI of a channel's only artifact."""
        return self.outputs[channel][0].uri


@dataclass(frozen=True)
class RunRecord:
    """A run in progress or a finished one. Times are ISO 8601 in UTC.

    Attributes:
        process_mark: distinguishes the process from a later one with its id; empty if unknown.
        key: idempotency key under which the run was started, if any; each key has one run.
    """

    run_id: str
    name: str
    started: str
    outcome: str = RUNNING
    ended: str = ""
    reason: str = ""
    fingerprint: str = ""
    span: str = ""
    process_id: int = 0
    process_mark: str = ""
    key: str = ""
    nodes: tuple[NodeRecord, ...] = ()

    @property
    def pushed_version(self) -> int | None:
        """Version that this run pushed, or found already pushed."""
        pushed = self._pushed()
        return int(pushed["pushed_version"]) if pushed else None

    @property
    def is_new_version(self) -> bool:
        """True if this run pushed the version; an identical model is not pushed twice."""
        pushed = self._pushed()
        return bool(pushed and pushed["pushed"])

    @property
    def push_warning(self) -> str:
        """Error that occurred after the version was published; empty if there was none."""
        return str((self._pushed() or {}).get("warning", ""))

    def _pushed(self) -> dict[str, str | int | float] | None:
        push = self.node("Push")
        return push.outputs["pushed"][0].properties if push else None

    def node(self, node_id: str) -> NodeRecord | None:
        """Returns the finished node of that name, or None if the run did not reach it."""
        done = (n for n in self.nodes if n.node_id == node_id and n.outputs)
        return next(done, None)

    def with_node(self, node: NodeRecord) -> "RunRecord":
        """Returns the record with one node added, or replaced if it is already known."""
        others = tuple(n for n in self.nodes if n.node_id != node.node_id)
        return replace(self, nodes=(*others, node))

    def closed(self, outcome: str, reason: str = "") -> "RunRecord":
        """Returns the record of a run that ended now, with the reason's addresses masked."""
        return replace(self, outcome=outcome, reason=masked(reason), ended=utc_now())


def utc_now() -> str:
    """Returns the current time in UTC, to the second, as ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def new_run_id() -> str:
    """Returns a run id: the time in UTC to the microsecond, so that ids sort by time."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def write_record(folder: str, record: RunRecord) -> None:
    """Writes ``run.json`` atomically, so that a reader never sees a partial file."""
    os.makedirs(folder, exist_ok=True)
    partial = os.path.join(folder, f".{RECORD_FILE}.partial")
    with open(partial, "w", encoding="utf-8") as file:
        json.dump(asdict(record), file, indent=1)
        file.flush()
        os.fsync(file.fileno())  # else a crash of the machine may leave the new name without bytes
    os.replace(partial, os.path.join(folder, RECORD_FILE))


def read_record(folder: str) -> RunRecord:
    """Reads a run's record; a run whose process died without recording its end counts as failed.

    Raises:
        DataError: the folder holds no readable record.
    """
    path = os.path.join(folder, RECORD_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            record = _record(json.load(file))
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise DataError(f"{path}: no readable record of a run ({error}).") from error
    if record.outcome == RUNNING and not _alive(record.process_id, record.process_mark):
        return replace(record, outcome=FAILED, reason="the process ended without an outcome")
    return record


def list_records(runs_dir: str) -> list[RunRecord]:
    """Returns the records of all runs, newest first; skips damaged ones."""
    if not os.path.isdir(runs_dir):
        return []
    names = sorted(os.listdir(runs_dir), reverse=True)
    folders = (os.path.join(runs_dir, name) for name in names)
    return list(_readable(folders))


def find_record(runs_dir: str, key: str) -> RunRecord | None:
    """Returns the run that was started under a key, or None."""
    return next((record for record in list_records(runs_dir) if record.key == key), None)


def _readable(folders: Iterable[str]) -> Iterator[RunRecord]:
    for folder in folders:
        with contextlib.suppress(DataError):
            yield read_record(folder)


def keep_config(config_path: str, folder: str) -> None:
    """Copies the configuration to a run's folder, with secrets of addresses masked."""
    with open(config_path, encoding="utf-8") as file:
        text = file.read()
    with open(os.path.join(folder, CONFIG_FILE), "w", encoding="utf-8") as file:
        file.write(masked(text))


def _record(tree: dict[str, Any]) -> RunRecord:
    return RunRecord(**{**tree, "nodes": tuple(_node(node) for node in tree["nodes"])})


def _node(tree: dict[str, Any]) -> NodeRecord:
    outputs = {
        channel: tuple(Artifact(**artifact) for artifact in artifacts)
        for channel, artifacts in tree["outputs"].items()
    }
    inputs = {channel: tuple(ids) for channel, ids in tree["inputs"].items()}
    return NodeRecord(**{**tree, "inputs": inputs, "outputs": outputs})


def _alive(process_id: int, mark: str) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    found = mark_of(process_id)
    return not mark or not found or found == mark
