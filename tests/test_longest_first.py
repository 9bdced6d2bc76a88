"""The record that orders the quick tests is found by the selection of `make test`."""

import json
import re

from tests.longest_first import _RECORD


def test_the_choice_of_make_test_has_its_record(repository):
    choice = re.search(r'\$\(SHARED\) -m "([^"]+)"', (repository / "Makefile").read_text())
    assert choice is not None
    assert json.loads(_RECORD.read_text())[choice[1]]
