"""The version being served: from the folder or a server, and from the cache only if unchanged."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from components.baseline.component import Baseline
from components.baseline.config import BaselineConfig
from components.gate.baseline import baseline_dir
from components.raster.errors import DataError
from serving.client import connect
from serving.store.served import (
    ServedVersionError,
    require_state,
    served_state,
    served_version,
)
from serving.store.versions import push_version
from tests.components.models import save_model
from tests.serving.conftest import RunningServer, wait_until
from tests.serving.conftest import serve as serve


def push(model: Path, base: Path, expected: int | None) -> int:
    return push_version(model, base, expected_baseline=expected, provenance={"note.txt": b"hello"})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "model", ("dark", "light"))


def test_without_a_server_the_newest_complete_version_is_served(
    tmp_path: Path, model: Path
) -> None:
    base = tmp_path / "models" / "landcover"
    assert served_version(str(base), None).number is None
    push(model, base, None)
    push(model, base, 1)
    (base / "9").mkdir()  # still being copied by somebody else
    assert served_version(str(base), None).number == 2


def test_a_server_is_believed_rather_than_the_folder(
    tmp_path: Path, model: Path, serve: Callable[..., RunningServer]
) -> None:
    base = tmp_path / "models" / "landcover"
    push(model, base, None)
    broken = base / "2"
    broken.mkdir()
    (broken / "saved_model.pb").write_bytes(b"no model")
    server = serve(base, model_name="landcover")
    with connect(server.rest, model="landcover") as client:
        wait_until(lambda: {it.state for it in client.status()} == {"AVAILABLE", "END"})
    served = served_version(str(base), server.rest)
    assert served.number == 1
    assert served.refused == {2}
    assert served_version(str(base), server.grpc).number == 1
    elsewhere = tmp_path / "elsewhere" / "landcover"
    with pytest.raises(ServedVersionError, match="same folder"):
        served_version(str(elsewhere), server.rest)


def test_a_server_that_does_not_answer_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ServedVersionError, match=r"baseline\.endpoint"):
        served_version(str(tmp_path / "landcover"), "http://127.0.0.1:9", timeout_s=1)


def test_a_baseline_artifact_is_one_thing_or_the_other(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"version/ nor none\.json"):
        baseline_dir(str(tmp_path))
    (tmp_path / "none.json").write_text("{}")
    assert baseline_dir(str(tmp_path)) is None


def run_cached(node: Baseline, folder: Path) -> MetadataStore:
    """Runs a pipeline of one node with TFX's cache on; returns what it has recorded."""
    connection = metadata.sqlite_metadata_connection_config(str(folder / "metadata.sqlite"))
    LocalDagRunner().run(
        Pipeline(
            "baseline",
            str(folder / "artifacts"),
            components=[node],
            enable_cache=True,
            metadata_connection_config=connection,
        )
    )
    return MetadataStore(connection)


def test_a_cached_run_sees_the_version_that_was_pushed_in_between(
    tmp_path: Path, model: Path
) -> None:
    """A real pipeline, twice, with TFX's cache on and a push in between."""
    base = tmp_path / "models" / "landcover"

    def run() -> list[tuple[int, Path | None]]:
        store = run_cached(Baseline(str(base), BaselineConfig()), tmp_path)
        states.append([each.last_known_state for each in store.get_executions()])
        return [
            (a.custom_properties["served_version"].int_value, baseline_dir(a.uri))
            for a in store.get_artifacts_by_type("skymill.Baseline")
        ]

    states: list[list[int]] = []
    assert run() == [(-1, None)]
    push(model, base, None)
    (_, (number, folder)) = run()
    assert number == 1
    assert folder is not None
    assert (folder / "provenance" / "note.txt").read_bytes() == b"hello"
    assert (folder / "saved_model.pb").read_bytes() == (base / "1/saved_model.pb").read_bytes()
    push(model, base, 1)
    assert [number for number, _ in run()] == [-1, 1, 2]
    assert states[-1] == [metadata_store_pb2.Execution.COMPLETE] * 3


def test_a_state_has_the_same_name_until_a_version_comes_goes_or_changes(
    tmp_path: Path, model: Path
) -> None:
    base = tmp_path / "models" / "landcover"

    def state() -> str | None:
        return served_state(str(base), None)

    assert state() is None
    push(model, base, None)
    names = [state(), state()]
    assert names[0] == names[1] is not None
    push(model, base, 1)
    names.append(state())
    shutil.rmtree(base / "2")  # rolled back: what is served is what was, and its history is another
    names.append(state())
    with (base / "1" / "saved_model.pb").open("ab") as file:
        file.write(b" ")
    names.append(state())
    assert len(set(names[1:])) == 4
    assert served_state(str(base), "http://127.0.0.1:9", timeout_s=1) is None
    assert served_state("s3://models/landcover", None) is None
    (base / "1" / "weights").symlink_to("/etc/hostname")  # the node itself says what is wrong
    assert state() is None


def test_a_version_of_another_state_is_not_cached_under_its_name(
    tmp_path: Path, model: Path
) -> None:
    """Like a server that changes its version while a run begins, and then changes it back."""
    base = tmp_path / "models" / "landcover"
    push(model, base, None)
    push(model, base, 1)
    name = served_state(str(base), None)
    assert name
    require_state(name, str(base), 2)
    require_state("the id of a run", str(base), 1)
    with pytest.raises(ServedVersionError, match="it was 2, and then 1. Run the pipeline again"):
        require_state(name, str(base), 1)
    node = Baseline(str(base), BaselineConfig(), nonce=name.replace("served 2 ", "served 1 "))
    with pytest.raises(ServedVersionError, match="it was 1, and then 2"):
        run_cached(node, tmp_path)
    push(model, base, 2)
    require_state(name, str(base), 3)  # a folder that has changed never has that name again


def test_an_unchanged_state_is_the_same_artifact(tmp_path: Path, model: Path) -> None:
    """The node that compares with the baseline is then taken from the cache as well."""
    base = tmp_path / "models" / "landcover"
    push(model, base, None)
    for _ in range(2):
        node = Baseline(str(base), BaselineConfig(), nonce=served_state(str(base), None))
        store = run_cached(node, tmp_path)
    assert len(store.get_artifacts_by_type("skymill.Baseline")) == 1
    states = [each.last_known_state for each in store.get_executions()]
    assert states == [metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED]
