"""The imports of our packages, read from their source."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGES = ("components", "pipelines", "serving", "trainer")


@dataclass(frozen=True)
class Module:
    """One of our modules with its imports; `at_start` are those that importing it runs."""

    name: str
    everywhere: frozenset[str]
    at_start: frozenset[str]


@cache
def read_modules(root: Path) -> Mapping[str, Module]:
    """Returns our modules below a folder, by name; a process reads a folder once."""
    modules = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            relative = path.relative_to(root).with_suffix("")
            name = ".".join(relative.parts).removesuffix(".__init__")
            tree = ast.parse(path.read_text(), str(path))
            in_package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            everywhere = {i for node in ast.walk(tree) for i in _imported(node, in_package)}
            at_start = {i for node in _run_on_import(tree) for i in _imported(node, in_package)}
            modules[name] = Module(name, frozenset(everywhere), frozenset(at_start))
    return modules


def arrows(modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """Returns our modules that each module imports; a package only if none of its modules is."""
    found = {}
    for module in modules.values():
        ours = {name for name in module.everywhere if name in modules and name != module.name}
        found[module.name] = {
            name for name in ours if not any(other.startswith(f"{name}.") for other in ours)
        }
    return found


def between_folders(found: Mapping[str, set[str]], packages: set[str]) -> dict[str, set[str]]:
    """Returns the arrows between the modules' folders."""

    def folder(name: str) -> str:
        return name if name in packages else name.rpartition(".")[0]

    folders: dict[str, set[str]] = {}
    for name, imported in found.items():
        here = folder(name)
        folders.setdefault(here, set()).update({folder(it) for it in imported} - {here})
    return folders


def layer(module: str) -> str:
    """Returns the layer of a module: its package, or its folder of components/."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "components" else parts[0]


def _imported(node: ast.AST, in_package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parents = in_package.split(".")
        base = parents[: len(parents) - node.level + 1] if node.level else []
        source = ".".join([*base, *([node.module] if node.module else [])])
        # `from a import b` may name a module or something in one.
        yield source
        yield from (f"{source}.{alias.name}" for alias in node.names)


def _run_on_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yields the statements that run when a module is imported: no function bodies, no types."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _run_on_import(child)
