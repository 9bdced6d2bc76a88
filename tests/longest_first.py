"""Runs the longest files first, so that processes that share the tests end together.

`seconds.json` holds the seconds of each file, for each choice of tests (`-m`). `make seconds`
measures them anew; they affect only the order.
"""

import json
from collections import defaultdict
from pathlib import Path

import pytest

_RECORD = Path(__file__).with_name("seconds.json")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-seconds", action="store_true", help=f"write {_RECORD.name} anew")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sorts the files where processes share the tests; those without a record come first."""
    if hasattr(config, "workerinput"):
        known = _read().get(config.option.markexpr, {})
        items.sort(key=lambda item: -known.get(_file(item.nodeid), float("inf")))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Records the seconds of the files that ran."""
    if not config.option.record_seconds:
        return
    spent: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent[_file(report.nodeid)] += report.duration
    known = _read()
    known[config.option.markexpr] = {file: round(spent[file], 1) for file in sorted(spent)}
    _RECORD.write_text(json.dumps(known, indent=1) + "\n")


def _read() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = json.loads(_RECORD.read_text())
    return found


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
