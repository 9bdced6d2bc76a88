"""A failure that lasts ends a task's retries at once, by a marker that outlives its pods."""

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipelines.kubeflow.contract.reason import last_reason
from pipelines.kubeflow.contract.signature import NodeSignature
from pipelines.kubeflow.step.entrypoint import _main, guarded
from pipelines.kubeflow.step.failure_marker import FailureMarker
from tests.stores.services import service_on_loopback

SIGNATURE = NodeSignature(
    executor="tests.kubeflow.probe.Failing",
    outputs={"made": "tfx.types.standard_artifacts.Examples"},
    parameters={"failure": "STRING", "attempts": "STRING"},
)


@dataclass
class Task:
    """A task of a run, whose attempts are processes of their own on a cluster.

    Attributes:
        root: below which each run has its outputs.
        folder: on a volume, if there is one.
        scratch: the disk of the pods.
        written: the names of the markers, with their contents.
    """

    root: str
    folder: str | None
    scratch: Path
    written: Callable[[], dict[str, bytes]]
    put: Callable[[str, bytes], None]
    codes: list[int] = field(default_factory=list)

    def attempt(self, failure: str, run: str = "run-1") -> int:
        values = {"failure": failure, "attempts": str(self.scratch / "attempts")}
        made = {"artifacts": [{"name": "n", "uri": f"{self.root}/{run}/trainer/salt/made"}]}
        given = {
            "inputs": {"parameterValues": values},
            "outputs": {"artifacts": {"made": made}, "outputFile": str(self.scratch / "out")},
        }
        argv = ["--signature", SIGNATURE.to_json(), "--executor-input", json.dumps(given)]
        argv += ["--failures", self.folder] if self.folder else []
        return guarded(lambda: _main(argv, str(self.scratch)))

    @property
    def attempts(self) -> int:
        """Returns how often the executor was run."""
        return len((self.scratch / "attempts").read_text().splitlines())


@pytest.fixture(autouse=True)
def sigterm() -> Iterator[None]:
    """Ignores the signal, so that it does not end the tests."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(params=["volume", "s3"])
def task(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Task]:
    for name in ("KFP_RETRY_INDEX", "ARGO_DEADLINE"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "volume":
        folder = tmp_path / "volume" / "failures"

        def written() -> dict[str, bytes]:
            return {path.name: path.read_bytes() for path in folder.rglob("*")}

        def put(name: str, content: bytes) -> None:
            (folder / name).write_bytes(content)

        yield Task("minio://mlpipeline/skymill", str(folder), tmp_path, written, put)
        return
    with service_on_loopback("s3", "skymill", monkeypatch) as found:
        objects = found.bucket.objects
        yield Task(found.uri, None, tmp_path, lambda: dict(objects), found.bucket.put)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("data", "DataError: 3 of 4 images are broken: correct them"),
        ("configuration", "ConfigError: labels: no such file"),
        ("baseline", "StaleBaselineError: version 7 is served by now"),
    ],
)
def test_a_retry_ends_at_once_with_what_the_first_attempt_found(
    task: Task, capsys: pytest.CaptureFixture[str], failure: str, message: str
) -> None:
    codes, said = [], []
    for _ in range(3):
        codes.append(task.attempt(failure))
        said.append(capsys.readouterr().err)
    assert codes == [1, 1, 1]
    assert task.attempts == 1
    assert [last_reason(it) for it in said] == [message] * 3
    assert ["an earlier attempt has failed" in it for it in said] == [False, True, True]
    assert len(task.written()) == 1


@pytest.mark.parametrize(
    "failure",
    [
        *("network", "network of a worker", "certificate", "store", "store as a cause"),
        *("other run", "disk", "memory", "signal", ""),
    ],
)
def test_what_may_pass_is_tried_again_in_full(task: Task, failure: str) -> None:
    for _ in range(2):
        task.attempt(failure)
    assert task.attempts == 2
    assert task.written() == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"task": "x"}', b"\xff", b"{}" * 99999])
def test_a_damaged_marker_is_reported_and_ignored(
    task: Task, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    task.attempt("data")
    [name] = task.written()
    task.put(name, content)
    capsys.readouterr()
    assert task.attempt("data") == 1
    said = capsys.readouterr().err
    assert "is not a marker of this task and is ignored" in said
    assert "DataError: 3 of 4" in said
    assert task.attempts == 2
    task.attempt("data")
    assert task.attempts == 2, "the marker is whole again"


def test_another_run_is_another_task(task: Task, capsys: pytest.CaptureFixture[str]) -> None:
    task.attempt("data")
    assert task.attempt("", run="run-2") == 0
    [name] = task.written()
    task.attempt("data", run="run-2")
    one, other = sorted(task.written(), key=lambda it: it != name)
    task.put(other, task.written()[one])
    capsys.readouterr()
    assert task.attempt("", run="run-2") == 0
    assert "is not a marker of this task" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "first", "retry"),
    [
        ("KFP_RETRY_INDEX", "0", "1"),
        ("ARGO_DEADLINE", "0001-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
def test_a_person_who_retries_the_run_gets_a_full_attempt(
    task: Task, monkeypatch: pytest.MonkeyPatch, variable: str, first: str, retry: str
) -> None:
    """The run is the same, and so are the places of its outputs; attempts are counted anew."""
    monkeypatch.setenv(variable, first)
    task.attempt("data")
    monkeypatch.setenv(variable, retry)
    task.attempt("data")
    assert task.attempts == 1
    monkeypatch.setenv(variable, first)
    task.attempt("network")
    assert task.written() == {}
    monkeypatch.setenv(variable, retry)
    assert task.attempt("") == 0
    assert task.attempts == 3


def test_without_access_to_the_store_the_failure_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with service_on_loopback("s3", "skymill", monkeypatch) as found:
        found.bucket.forbidden = True
        task = Task(found.uri, None, tmp_path, dict, found.bucket.put)
        assert [task.attempt("data") for _ in range(2)] == [1, 1]
    said = capsys.readouterr().err
    assert last_reason(said) == "DataError: 3 of 4 images are broken: correct them"
    assert said.count("lasting_failure.json is not read: ") == 2
    assert task.attempts == 2


def test_a_marker_that_cannot_be_written_is_reported_with_the_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    task = Task("minio://b", str(tmp_path / "file" / "failures"), tmp_path, dict, lambda *_: None)
    assert [task.attempt("data") for _ in range(2)] == [1, 1]
    said = capsys.readouterr().err
    assert last_reason(said) == "DataError: 3 of 4 images are broken: correct them"
    assert said.count("No marker is left, so retries repeat this failure") == 2


def test_a_task_has_a_marker_only_where_it_can_write_one() -> None:
    outputs = ["minio://b/run/trainer/a", "minio://b/run/trainer/b"]
    assert FailureMarker.of(outputs, None) is None, "only the launcher has the credentials"
    assert FailureMarker.of([], "/volume") is None
    assert FailureMarker.of([*outputs, "minio://b/run/other/a"], "/volume") is None
    one, other = (FailureMarker.of([it], "/volume") for it in outputs)
    assert one == other
    gcs = FailureMarker.of(["gs://b/run/trainer/a"], None)
    assert gcs is not None
    assert gcs.location == "gs://b/run/trainer/lasting_failure.json"
