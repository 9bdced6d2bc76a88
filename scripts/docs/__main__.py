"""Writes Sphinx's input: the pages of docs/, others of the repository, and the reference.

python -m scripts.docs build/docs
"""

import shutil
import sys
from pathlib import Path

from scripts.docs.commands import commands_page
from scripts.docs.configuration import configuration_page
from scripts.docs.pages import navigation, places, relinked, toctree
from scripts.docs.python import python_page

REPOSITORY = Path(__file__).resolve().parents[2]
#: The pages below reference/, which are generated from the code: name, title, text.
REFERENCE = {
    "configuration": ("Configuration", configuration_page),
    "commands": ("Command line", commands_page),
    "python": ("Python", python_page),
}


def write(repository: Path, target: Path) -> None:
    """Writes the source of the site into an empty folder."""
    found = places(repository)
    for source, place in found.items():
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".md":
            shutil.copyfile(repository / source, path)
            continue
        text = relinked((repository / source).read_text(), source, found, repository)
        if path.name == "index.md":
            captions = path.parent == target
            for title, links in navigation(text):
                text += toctree(links, title if captions else "")
        path.write_text(text)
    folder = target / "reference"
    for name, (_, page) in REFERENCE.items():
        (folder / f"{name}.md").write_text(page())
    with (folder / "index.md").open("a") as index:
        index.write(toctree([(title, name) for name, (title, _) in REFERENCE.items()]))


if __name__ == "__main__":
    write(REPOSITORY, Path(sys.argv[1]))
