"""The arrows between the packages, read from their imports.

components.raster <- serving <- {trainer, components.<node>} <- pipelines
"""

import graphlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from components.raster.task import TASKS
from scripts.imports import PACKAGES, Module, arrows, between_folders, layer, read_modules

# Folders of components/ whose pure parts other nodes may use.
SHARED_NODES = ("components.gate", "components.node")
TFX_MODULES = ("trainer.run", "trainer.tune.run")
HEAVY = ("tensorflow", "tf_keras", "keras", "tfx", "apache_beam", "tensorflow_serving")


def may_import(importer: str, imported: str) -> bool:
    """Checks whether the arrows allow one of our modules to import another."""
    here, there = layer(importer), layer(imported)
    if here == there or here == "pipelines" or there == "components":
        return True
    if here == "components.raster" or there == "pipelines":
        return False
    if here == "serving":
        return there == "components.raster"
    if here == "trainer":
        return there in ("components.raster", "serving")
    return there in ("components.raster", "serving", *SHARED_NODES)


def may_import_tfx(importer: str) -> bool:
    """Checks whether a module may import the orchestration framework."""
    here = layer(importer)
    node = here.startswith("components.") and here != "components.raster"
    return node or here == "pipelines" or importer in TFX_MODULES


def wrong_arrows(modules: Mapping[str, Module]) -> list[str]:
    """Returns every import in the wrong direction, as `importer -> imported`."""
    found = []
    for module in modules.values():
        for imported in sorted(module.everywhere):
            if imported.split(".")[0] in PACKAGES:
                allowed = may_import(module.name, imported)
            else:
                allowed = not _is_in(imported, ("tfx",)) or may_import_tfx(module.name)
            if not allowed:
                found.append(f"{module.name} -> {imported}")
    return found


def loads(modules: Mapping[str, Module], start: str) -> set[str]:
    """Returns everything that an import of one module loads, through our own modules."""
    seen, waiting = set[str](), [start]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        if name in modules:
            waiting.extend(modules[name].at_start)
    return seen


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.fixture(scope="module")
def modules(repository: Path) -> Mapping[str, Module]:
    return read_modules(repository)


def circle(found: Mapping[str, set[str]]) -> list[str]:
    """Returns the first cycle of arrows, or nothing."""
    try:
        graphlib.TopologicalSorter(found).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_neither_modules_nor_folders_import_in_a_circle(
    modules: Mapping[str, Module], repository: Path
) -> None:
    found = arrows(modules)
    assert circle(found) == []
    packages = {name for name in modules if (repository / Path(*name.split("."))).is_dir()}
    assert circle(between_folders(found, packages)) == []


def test_circles_are_found() -> None:
    found = {"a.x": {"b.y"}, "b.y": {"a.z"}, "a.z": set[str]()}
    assert circle(found) == []
    assert circle(between_folders(found, {"a", "b"}))
    assert circle({"a": {"b"}, "b": {"a"}})


def test_no_import_goes_the_wrong_way(modules: Mapping[str, Module]) -> None:
    assert wrong_arrows(modules) == []


@pytest.mark.parametrize("start", ["components.raster", "serving.client"])
def test_light_modules_load_no_framework(modules: Mapping[str, Module], start: str) -> None:
    light = [name for name in modules if _is_in(name, (start,)) or name.startswith(f"{start}_")]
    if start == "serving.client":  # its registry loads them by name
        light += [f"serving.tasks.{task}.answer" for task in TASKS]
    assert light, f"no module {start}"
    heavy = {
        name: sorted(found)
        for name in light
        if (found := {loaded for loaded in loads(modules, name) if _is_in(loaded, HEAVY)})
    }
    assert heavy == {}


@pytest.mark.parametrize(
    ("path", "statement", "arrow"),
    [
        ("components/raster/a.py", "import serving.client", "serving.client"),
        ("components/raster/a.py", "from tfx import v1", "tfx"),
        ("components/push/a.py", "from components.ingest import sources", "components.ingest"),
        (
            "components/push/a.py",
            "def f():\n    import trainer.training.fit",
            "trainer.training.fit",
        ),
        ("serving/a.py", "from trainer import fit", "trainer"),
        ("serving/deep/a.py", "from ...pipelines import cli", "pipelines"),
        ("trainer/a.py", "from components.gate import report", "components.gate"),
        ("trainer/a.py", "import tfx.v1 as tfx", "tfx.v1"),
    ],
)
def test_a_wrong_arrow_is_found(tmp_path: Path, path: str, statement: str, arrow: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(statement)
    importer = ".".join(Path(path).with_suffix("").parts)
    assert f"{importer} -> {arrow}" in wrong_arrows(read_modules(tmp_path))


def test_what_a_module_loads_is_followed_through_ours(tmp_path: Path) -> None:
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "client.py").write_text("from serving import wire")
    (tmp_path / "serving" / "wire.py").write_text("import tensorflow as tf")
    (tmp_path / "serving" / "lazy.py").write_text("def f():\n    import tensorflow")
    modules = read_modules(tmp_path)
    assert "tensorflow" in loads(modules, "serving.client")
    assert "tensorflow" not in loads(modules, "serving.lazy")
