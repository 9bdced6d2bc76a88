"""Errors reach another process as they were: type, message and attributes."""

import ast
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.gate.report import GateFailed, GateReport
from components.ingest.files.read import ReadFailure
from components.ingest.rasters.scenes.labels.reader import LabelsRejected
from components.raster.errors import ConfigError, PortableError
from components.raster.image import Refusal
from components.raster.payload import PayloadError
from components.raster.reasons import Reason
from components.raster.scene.rejects import SceneRejected
from pipelines.kubeflow.client.errors import KubeflowError
from serving.client.transport import RequestFailed
from serving.server.errors import Code, ListenError, ServingError

_BUILTIN = ("Exception", "RuntimeError", "ValueError", "OSError")


def errors() -> Iterator[PortableError]:
    yield ConfigError("no such folder")
    yield GateFailed(GateReport("rejects"))
    yield ReadFailure(Reason.UNREADABLE, "permission denied")
    yield LabelsRejected(Reason.NO_MASK, "no mask is called a")
    yield PayloadError(Refusal.CORRUPT, "cut short")
    yield SceneRejected("2024/ortho", Reason.NO_CRS, "no CRS")
    yield KubeflowError("busy", transient=True)
    yield ServingError(Code.NOT_FOUND, "no such model")
    yield ListenError("gRPC", "127.0.0.1", 8500, "in use")
    yield RequestFailed("UNAVAILABLE", "draining")


@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_after_pickling(error: PortableError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error) != ""
    assert {k: repr(v) for k, v in vars(again).items()} == {
        k: repr(v) for k, v in vars(error).items()
    }


def test_no_error_with_a_constructor_of_its_own_derives_from_a_builtin_alone(
    repository: Path,
) -> None:
    found = []
    for package in ("components", "pipelines", "serving", "trainer"):
        for file in (repository / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef) and _is_fragile(node):
                    found.append(f"{file.relative_to(repository)}: {node.name}")
    assert found == []


def _is_fragile(node: ast.ClassDef) -> bool:
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    own = any(isinstance(it, ast.FunctionDef) and it.name == "__init__" for it in node.body)
    return own and bool(bases) and bases <= set(_BUILTIN)
