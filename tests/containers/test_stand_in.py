"""The mirror of the stand-in bases is the one that the machine's apt uses."""

from pathlib import Path

import pytest

from tests.containers.stand_in import debian_mirror

STANZAS = """
Types: deb
URIs: https://packages.example/other
Suites: stable

Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
"""
LINES = """
# deb http://old.example/debian bookworm-updates main
deb https://packages.example/other stable main
deb [signed-by=/a.gpg arch=amd64] http://mirror.example/debian bookworm-updates main
"""


@pytest.mark.parametrize(
    ("name", "text"), [("sources.list.d/debian.sources", STANZAS), ("sources.list", LINES)]
)
def test_it_is_found_in_either_format(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "apt" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    (tmp_path / "os-release").write_text('NAME="Debian"\nID=debian\n')
    assert debian_mirror(tmp_path) == "http://mirror.example/debian"
    (tmp_path / "os-release").write_text("ID=ubuntu\nID_LIKE=debian\n")
    assert debian_mirror(tmp_path) is None


def test_there_may_be_none(tmp_path: Path) -> None:
    assert debian_mirror(tmp_path) is None
