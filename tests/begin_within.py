"""A bound on the time of a run of tests: after it no further test begins.

`--begin-within SECONDS` skips the remaining tests with that reason. A run with a fixed time limit,
as in CI, then reports the tests that it has not run instead of being cut off. Long files run first
(`longest_first`), so that short ones remain.
"""

import time

import pytest

_BEGAN = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--begin-within", type=float, metavar="SECONDS", help="begin no test later")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test that would begin too late, before its fixtures are set up."""
    limit = item.config.option.begin_within
    if limit is not None and time.monotonic() - _BEGAN > limit:
        pytest.skip(f"not begun: {limit:g} s were up")
