"""The benchmarks by name: `python -m benchmarks`."""

import re
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main, names


def test_the_makefile_runs_benchmarks_that_are_there(repository: Path) -> None:
    listed = re.search(r"^BENCH \?= (.*)$", (repository / "Makefile").read_text(), re.MULTILINE)
    assert listed
    assert set(listed[1].split()) <= set(names())
    assert not {"sides", "serving_model", "load"} & set(names()), "parts of benchmarks, not doors"


@pytest.mark.parametrize("given", [[], ["nothing"]])
def test_the_names_are_listed_where_none_is_given(
    given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", *given])
    with pytest.raises(SystemExit, match="NAME is one of: batch, explain"):
        main()
