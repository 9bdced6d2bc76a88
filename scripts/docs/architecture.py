"""The picture of the architecture, drawn from the imports: docs/architecture.svg.

Each box is a folder; arrows lead to what it imports.

    python -m scripts.docs.architecture docs/architecture.svg
"""

import sys
from pathlib import Path

from scripts.docs.layered import PictureStyle, draw
from scripts.imports import arrows, layer, read_modules


def folder_of(module: str) -> str:
    """Returns the folder below a package that a module belongs to."""
    if layer(module) == "components.raster":
        return ".".join(module.split(".")[:3])
    return ".".join(module.split(".")[:2])


def package(name: str) -> str:
    """Returns the group of a folder; the nodes of a pipeline share one."""
    here = layer(name.rstrip("/"))
    return "components" if here.startswith("components.") and here != "components.raster" else here


def folder_imports(root: Path) -> dict[str, set[str]]:
    """Returns the folders of our code and those that each imports.

    A package's entry points count as a folder, `package/`.
    """

    def is_folder(name: str) -> bool:
        return (root / Path(*name.split("."))).is_dir()

    def place(module: str) -> str:
        here = folder_of(module)
        return here if is_folder(here) and here != package(here) else f"{package(here)}/"

    found: dict[str, set[str]] = {}
    for name, imported in arrows(read_modules(root)).items():
        if imported or not is_folder(name):
            here = place(name)
            found.setdefault(here, set()).update({place(it) for it in imported} - {here})
    return found


def label(name: str) -> str:
    """Returns the text in a folder's box."""
    return "*.py" if name.endswith("/") else name.rpartition(".")[2]


def picture(root: Path) -> str:
    """Returns the picture as SVG."""
    title = "The packages of Skymill and the imports between them"
    return draw(folder_imports(root), PictureStyle(title, package, label))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture(Path(__file__).resolve().parents[2]))
