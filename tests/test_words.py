"""Docstrings of the packages: the first word says what the thing is or does."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("components", "pipelines", "serving", "trainer")
_RIDDLE = re.compile(r'\s*"""(What|Whether|Which|How|Where|When|Who|Why|That|If)\b')


def lines() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            yield from ((name, line) for line in path.read_text().splitlines())


def test_docstrings_open_with_a_noun_or_a_verb() -> None:
    riddles = [f"{path}: {line.strip()}" for path, line in lines() if _RIDDLE.match(line)]
    assert riddles == []
