"""The examples in docstrings: each prints what stands below it."""

import doctest
import importlib
from pathlib import Path

import pytest

from scripts.imports import PACKAGES

ROOT = Path(__file__).resolve().parent.parent


def modules_with_examples() -> list[str]:
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    found = (path.relative_to(ROOT) for path in paths if ">>> " in path.read_text())
    return [".".join(path.with_suffix("").parts) for path in found]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_print_what_they_show(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed
