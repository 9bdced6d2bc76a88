"""The pages of the site: their paths, links and navigation."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

#: Pages outside docs/ in the repository, and their places on the site.
OUTSIDE = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "docker/serving/README.md": "project/serving-image.md",
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")
_ITEM = re.compile(r"- \[([^\]]+)\]\(([^)\s#]+)\)")


def places(repository: Path) -> dict[str, str]:
    """Returns the site's path of each of its files, by the path in the repository."""
    docs = repository / "docs"
    inside = (path.relative_to(docs).as_posix() for path in docs.rglob("*") if path.is_file())
    return {f"docs/{name}": name for name in sorted(inside) if "__pycache__" not in name} | OUTSIDE


def relinked(text: str, page: str, found: Mapping[str, str], repository: Path) -> str:
    """Returns a page's text with its relative links as the site needs them.

    A link to a file of the repository that is not a page becomes its text.

    Raises:
        ValueError: a link to a file that does not exist.
    """

    def replace(link: re.Match[str]) -> str:
        image, label, target, anchor = link[1], link[2], link[3], link[4] or ""
        if not target or ":" in target:
            return link[0]
        path = os.path.normpath(os.path.join(os.path.dirname(page), target))
        if path in found:
            here = os.path.dirname(found[page])
            return f"{image}[{label}]({os.path.relpath(found[path], here or '.')}{anchor})"
        if (repository / path).exists():
            return label
        raise ValueError(f"{page}: the link to {target} leads nowhere")

    return "".join(
        line if code else _LINK.sub(replace, line) for line, code in lines_and_fences(text)
    )


def lines_and_fences(text: str) -> Iterator[tuple[str, bool]]:
    """Yields each line with its end, and whether it belongs to a fenced block."""
    fence = ""
    for line in text.splitlines(keepends=True):
        mark = re.match(r"\s*(```+|~~~+)", line)
        yield line, bool(mark or fence)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1] == fence:
            fence = ""


def navigation(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Returns an index page's navigation: for each section, the first link of each list item."""
    sections: list[tuple[str, list[tuple[str, str]]]] = []
    for line, code in lines_and_fences(text):
        if code:
            continue
        if line.startswith("## "):
            sections.append((line[3:].strip(), []))
        elif sections and (item := _ITEM.match(line)) and ":" not in item[2]:
            sections[-1][1].append((item[1], item[2].removesuffix(".md")))
    return [(title, links) for title, links in sections if links]


def toctree(links: list[tuple[str, str]], caption: str = "") -> str:
    """Returns Sphinx's directive for entries of the navigation."""
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    entries = [f"{label} <{target}>" for label, target in links]
    return "\n".join(["", "```{toctree}", *options, "", *entries, "```", ""])
