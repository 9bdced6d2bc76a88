"""Errors reach another process as they were: type, message and attributes."""

import ast
import pickle
import re
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
_DERIVED = re.compile(rf"class \w+\(\s*({'|'.join(_BUILTIN)})\b")


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
            found += [f"{file.relative_to(repository)}: {it}" for it in fragile(file.read_text())]
    assert found == []


def test_such_an_error_is_found() -> None:
    own = "    def __init__(self): ...\n"
    fine = f"class A(PortableError):\n{own}class B(ValueError):\n    pass\n"
    assert list(fragile(fine)) == []
    assert list(fragile(f"{fine}class C(OSError, ValueError):\n{own}")) == ["C"]


def fragile(source: str) -> Iterator[str]:
    """The errors that lose their attributes on the way to another process."""
    if _DERIVED.search(source):  # parsing all of our files takes seconds
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef) and _is_fragile(node):
                yield node.name


def _is_fragile(node: ast.ClassDef) -> bool:
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    own = any(isinstance(it, ast.FunctionDef) and it.name == "__init__" for it in node.body)
    return own and bool(bases) and bases <= set(_BUILTIN)
