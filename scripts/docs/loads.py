"""Refuses a built site that loads anything from elsewhere: scripts, styles, fonts, images.

python -m scripts.docs.loads site
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

_LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
_STYLE = re.compile(
    r"""url\(\s*["']?((?:https?:)?//[^)"']+)|@import\s+["']((?:https?:)?//[^"']+)"""
)


class _Loads(HTMLParser):
    """Addresses that a browser requests to show a page; links to follow do not count."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        address = given.get(_LOADS.get(tag, "")) or ""
        if re.match(r"(https?:)?//", address):
            self.found.append(address)
        self.found += styles(given.get("style") or "")


def styles(text: str) -> list[str]:
    """Returns the addresses outside the site that a style sheet loads."""
    return [first or second for first, second in _STYLE.findall(text)]


def outside(site: Path) -> Iterator[str]:
    """Yields every load from outside the site, as `page: address`."""
    for path in sorted(site.rglob("*")):
        found: list[str] = []
        if path.suffix == ".html":
            parser = _Loads()
            parser.feed(path.read_text())
            found = parser.found
        elif path.suffix in (".css", ".svg"):
            found = styles(path.read_text())
        yield from (f"{path.relative_to(site)}: {address}" for address in found)


if __name__ == "__main__":
    if loads := list(outside(Path(sys.argv[1]))):
        sys.exit("The site loads from elsewhere:\n  " + "\n  ".join(loads))
