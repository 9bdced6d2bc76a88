"""A bound on the time of a run of tests: after it no further test begins.

`--begin-within SECONDS` skips the tests that are left, and says so in their reason. A run that has
to answer by a fixed time, as in CI, then says what it has not tried, and is not cut off without a
word. Long files begin first (`longest_first`), so that short ones are left.
"""

import time

import pytest

_BEGAN = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--begin-within", type=float, metavar="SECONDS", help="begin no test later")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test whose turn comes too late, before its fixtures are set up."""
    limit = item.config.option.begin_within
    if limit is not None and time.monotonic() - _BEGAN > limit:
        pytest.skip(f"not begun: {limit:g} s were up")
