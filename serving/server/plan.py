"""Plan of versions to load and to unload: a pure function, called at every scan."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class VersionPlan:
    """Versions to load, in order, and versions to unload."""

    load: tuple[int, ...]
    unload: tuple[int, ...]


def plan_versions(
    *,
    on_disk: Collection[int],
    loaded: Collection[int],
    broken: Collection[int],
    latest_versions: int,
    pinned: Collection[int] = (),
) -> VersionPlan:
    """Plans to serve the newest good versions and the pinned ones; never unloads the last good one.

    Args:
        on_disk: complete versions.
        loaded: available versions.
        broken: versions that failed to load and are not retried now.
        latest_versions: number of newest versions to serve.
        pinned: versions to serve whatever their age (those with a label).
    """
    candidates = sorted(set(on_disk) - set(broken), reverse=True)
    wanted = set(candidates[:latest_versions]) | (set(pinned) & set(candidates))
    load = tuple(sorted(wanted - set(loaded), reverse=True))
    if load or not wanted:
        # Loaded versions stay until their successor is available, or while there is none.
        return VersionPlan(load, ())
    return VersionPlan((), tuple(sorted(set(loaded) - wanted)))
