"""Versions to load and unload, decided from plain values."""

import pytest

from serving.server.plan import VersionPlan, plan_versions


@pytest.mark.parametrize(
    ("on_disk", "loaded", "broken", "latest", "pinned", "expected"),
    [
        pytest.param([], [], [], 1, [], VersionPlan((), ()), id="nothing there"),
        pytest.param([1, 2, 3], [], [], 1, [], VersionPlan((3,), ()), id="the newest"),
        pytest.param([1, 2, 3], [], [], 2, [], VersionPlan((3, 2), ()), id="the newest two"),
        pytest.param([2, 3], [2], [], 1, [], VersionPlan((3,), ()), id="load before letting go"),
        pytest.param([2, 3], [2, 3], [], 1, [], VersionPlan((), (2,)), id="then let go"),
        pytest.param([2, 3], [2], [3], 1, [], VersionPlan((), ()), id="a broken one is skipped"),
        pytest.param([1, 2, 3], [], [3], 1, [], VersionPlan((2,), ()), id="the next best instead"),
        pytest.param([3], [], [3], 1, [], VersionPlan((), ()), id="only a broken one"),
        pytest.param([2], [3], [], 1, [], VersionPlan((2,), ()), id="rolled back: load the older"),
        pytest.param([2], [2, 3], [], 1, [], VersionPlan((), (3,)), id="rolled back: let go after"),
        pytest.param([], [3], [], 1, [], VersionPlan((), ()), id="the last good one stays"),
        pytest.param(
            [4], [3], [4], 1, [], VersionPlan((), ()), id="removed, successor broken: stays"
        ),
        pytest.param(
            [1, 2, 3], [3], [], 1, [1], VersionPlan((1,), ()), id="a labelled one is loaded"
        ),
        pytest.param(
            [1, 2, 3], [1, 2, 3], [], 1, [1], VersionPlan((), (2,)), id="a labelled one stays"
        ),
        pytest.param([3], [3], [], 1, [7], VersionPlan((), ()), id="a label without a version"),
    ],
)
def test_plan(
    on_disk: list[int],
    loaded: list[int],
    broken: list[int],
    latest: int,
    pinned: list[int],
    expected: VersionPlan,
) -> None:
    plan = plan_versions(
        on_disk=on_disk, loaded=loaded, broken=broken, latest_versions=latest, pinned=pinned
    )
    assert plan == expected
