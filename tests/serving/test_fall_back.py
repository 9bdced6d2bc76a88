"""A start with a broken newest version: an older one is announced before clients give up."""

import asyncio
from pathlib import Path

from serving.server.config import ServerConfig
from serving.server.manager import ModelManager, VersionState
from serving.server.metrics import ServerMetrics
from tests.serving.conftest import copy_version


async def states_at_start(base: Path) -> list[dict[int, VersionState]]:
    """Returns every status that a client could have read until the server settled."""
    manager = ModelManager(ServerConfig(model_base=base, model_name="m"), ServerMetrics())
    seen: list[dict[int, VersionState]] = []
    async with manager.watching():
        while True:
            now = {status.version: status.state for status in manager.statuses}
            if not seen or seen[-1] != now:
                seen.append(now)
            if manager.settled.is_set():
                return seen
            await asyncio.sleep(0)


def test_a_status_never_says_that_all_have_ended_while_an_older_version_is_to_be_tried(
    base: Path, colours: Path
) -> None:
    copy_version(colours, base, 1)
    for version in (2, 3):
        (copy_version(colours, base, version) / "saved_model.pb").write_bytes(b"not a graph")
    seen = asyncio.run(states_at_start(base))
    assert seen[-1] == {
        3: VersionState.END,
        2: VersionState.END,
        1: VersionState.AVAILABLE,
    }
    assert not [now for now in seen if set(now.values()) == {VersionState.END}]


def test_when_none_can_be_loaded_all_end(base: Path, colours: Path) -> None:
    for version in (1, 2):
        (copy_version(colours, base, version) / "saved_model.pb").write_bytes(b"not a graph")
    seen = asyncio.run(states_at_start(base))
    assert seen[-1] == {2: VersionState.END, 1: VersionState.END}
