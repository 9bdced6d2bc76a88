"""Names and docstrings of the packages: one class a name, and a first word that says what it is."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("components", "pipelines", "serving", "trainer")
_CLASS = re.compile(r"class ([A-Z]\w*)")
_RIDDLE = re.compile(r'\s*"""(What|Whether|Which|How|Where|When|Who|Why|That|If)\b')
#: Phrases that read as translated, beside the word that this field uses.
_ODD = re.compile(
    r"\b(?:speaks? of|tells? of|says? of|said of|for ever\b"  # names, reports, states
    r"|(?:is|are|was|were|be|been) told\b(?! apart))"  # gets, receives
    r"|(?:\bit|which|[}'`]) (?:is|are) no(?:ne of|(?! longer) )"  # is not a
    r"|(?:class(?:es)?|number|row|mask) an image\b"  # per image
)
#: Interfaces, of which every package has its own: TFX's executors.
_PARALLEL = {"Executor"}
#: TFX's node and its artifact; TensorFlow Serving's messages on both sides of the wire.
_BOTH_SIDES = {"Baseline", "TensorInfo", "VersionStatus"}


def lines(folders: Sequence[str] = PACKAGES) -> Iterator[tuple[str, str]]:
    for package in folders:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            yield from ((name, line) for line in path.read_text().splitlines())


def test_a_public_class_shares_its_name_with_no_other() -> None:
    homes = defaultdict(list)
    for path, line in lines():
        if (found := _CLASS.match(line)) and "/tasks/" not in path:
            homes[found[1]].append(path)
    twice = {name: paths for name, paths in homes.items() if len(paths) > 1}
    assert {it: twice[it] for it in twice.keys() - _PARALLEL - _BOTH_SIDES} == {}


def test_no_phrase_reads_as_translated() -> None:
    pages = [("README.md", it) for it in (ROOT / "README.md").read_text().splitlines()]
    for path in sorted((ROOT / "docs").rglob("*.md")):
        pages += [(path.name, line) for line in path.read_text().splitlines()]
    odd = [f"{path}: {line.strip()}" for path, line in (*lines(), *pages) if _ODD.search(line)]
    assert odd == []


def test_docstrings_open_with_a_noun_or_a_verb() -> None:
    found = lines((*PACKAGES, "benchmarks", "examples", "scripts", "tests"))
    riddles = [f"{path}: {line.strip()}" for path, line in found if _RIDDLE.match(line)]
    assert riddles == []
