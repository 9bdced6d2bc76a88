"""The reference of the public Python API, from signatures and docstrings."""

import ast
import dataclasses
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

#: Sections of the page: a title, and names as a caller imports them.
SECTIONS = {
    "The client": (
        "serving.client.connect",
        "serving.client.PredictClient",
        "serving.client.FileResult",
        "serving.client.read_image",
        "serving.client.raster_reading.RasterReading",
        "serving.client.ClientError",
        "serving.client.ServerUnavailable",
        "serving.client.ServerTimeout",
        "serving.client.ModelNotFound",
        "serving.client.InvalidRequest",
        "serving.client.BadImage",
    ),
    "The contract of a model": (
        "serving.contract.contract.Contract",
        "serving.contract.contract.read_contract",
        "serving.contract.needs.ModelNeeds",
    ),
    "Kubeflow": (
        "pipelines.kubeflow.connect",
        "pipelines.kubeflow.Session",
        "pipelines.kubeflow.Run",
        "pipelines.kubeflow.client.run_state.RunState",
    ),
    "Configuration": (
        "pipelines.config.tree.load_config",
        "pipelines.config.tree.parse_config",
        "pipelines.config.tree.config_json_schema",
        "pipelines.prediction.config.PredictionConfig",
    ),
    "Maps": (
        "components.mapping.maps.map_scenes",
        "components.mapping.served.ServedModel",
        "components.mapping.config.MapConfig",
        "components.assessment.design.size_for",
        "components.assessment.estimators.estimate",
    ),
    "Scenes and tiles": (
        "components.raster.scene.folders.find_scenes",
        "components.raster.scene.probe.open_scene",
        "components.raster.tiles.view.view_scene",
        "components.raster.tiles.tiling.plan_tiles",
        "components.raster.tiles.parts.plan_parts",
        "components.raster.tiles.reading.read_tiles",
        "components.raster.tiles.tile.Tile",
        "components.raster.tiles.key.TileKey",
        "components.raster.tiles.key.Window",
        "components.raster.payload.encode_payload",
        "components.raster.payload.decode_payload",
    ),
    "Splits": (
        "components.raster.split.split_of",
        "components.raster.spatial.rules.assign",
        "components.raster.spatial.report.split_report",
    ),
}
_FIELDS = {"Args:": "param", "Attributes:": "ivar", "Raises:": "raises"}
_INTRODUCTION = """# Python

The public API for your own programs. None of it loads TensorFlow or TFX.
"""


def python_page() -> str:
    """Returns the page as Markdown."""
    lines = [_INTRODUCTION]
    for title, names in SECTIONS.items():
        lines += [f"## {title}", ""]
        for name in names:
            lines += [*_entry(name), ""]
    return "\n".join(lines)


def found(name: str) -> Any:
    """Returns the object of a dotted name."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def _entry(name: str) -> Iterator[str]:
    """Yields an object as a directive of Sphinx's Python domain, with the methods of a class."""
    thing = found(name)
    if not inspect.isclass(thing):
        yield from _directive("function", name + signature(thing), thing)
        return
    yield from _directive("class", name + _fields(thing), thing)
    for key, value in vars(thing).items():
        if key.startswith("_"):
            continue
        if isinstance(value, property):
            yield from _directive("property", f"{name}.{key}", value)
        elif isinstance(value, classmethod | staticmethod):
            yield from _directive("method", f"{name}.{key}{signature(value.__func__)}", value)
        elif inspect.isfunction(value):
            yield from _directive("method", f"{name}.{key}{signature(value)}", value)


def signature(function: Any) -> str:
    """Returns a signature as it is written, without `self`."""
    [node] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(node, ast.FunctionDef)
    if node.args.args and node.args.args[0].arg in ("self", "cls"):
        del node.args.args[0]
    for part in ast.walk(node.args):
        if isinstance(part, ast.arg):
            part.annotation = _unquoted(part.annotation)
    returned = f" -> {ast.unparse(_unquoted(node.returns))}" if node.returns else ""
    return f"({ast.unparse(node.args)}){returned}"


def _unquoted(annotation: ast.expr | None) -> Any:
    """Parses an annotation that is given as text."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.Name(annotation.value)
    return annotation


def _fields(thing: type) -> str:
    """Returns a dataclass's fields with their defaults; functions make the other classes."""
    if not dataclasses.is_dataclass(thing):
        return ""
    given = [it.replace(annotation=it.empty) for it in inspect.signature(thing).parameters.values()]
    return str(inspect.Signature(given)).replace("<factory>", "...")


def _directive(kind: str, head: str, thing: Any) -> Iterator[str]:
    yield f"````{{py:{kind}}} {head}"
    yield from markdown(inspect.getdoc(thing) or "")
    yield from ("````", "")


def markdown(doc: str) -> Iterator[str]:
    """Converts a docstring to Markdown: sections become fields, examples become blocks."""
    lines = doc.splitlines()
    section, example = "", False
    for line in lines:
        if example and not line.strip():
            yield "```"
            example = False
        if line.startswith(">>>") and not example:
            yield from ("", "```pycon")
            example = True
        if example:
            yield line
            continue
        if line in _FIELDS or line.startswith("Returns:"):
            section = line.partition(":")[0] + ":"
            yield ""
            if section == "Returns:":
                yield f":returns: {line[len(section) :].strip()}".rstrip()
            continue
        if section and line and not line.startswith(" "):
            section = ""
            yield ""
        field = re.match(r"    ([\w.*, ]+): (.*)", line)
        if section in _FIELDS and field:
            yield f":{_FIELDS[section]} {field[1]}: {field[2]}"
        else:
            yield f"    {line.strip()}" if section and line.strip() else line
    if example:
        yield "```"
