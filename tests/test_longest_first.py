"""The record by which the quick tests are ordered is found by the choice that `make test` makes."""

import json
import re

from tests.longest_first import _RECORD


def test_the_choice_of_make_test_has_its_record(repository):
    choice = re.search(r'\$\(SHARED\) -m "([^"]+)"', (repository / "Makefile").read_text())
    assert choice is not None
    assert json.loads(_RECORD.read_text())[choice[1]]
