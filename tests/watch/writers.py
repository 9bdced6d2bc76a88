"""Several writers of one state of the watch."""

import threading
from collections.abc import Callable

from pipelines.watch.state import Active, WatchState
from pipelines.watch.state_store import StateStore, load, update


def attempts_counted_by_writers(open_store: Callable[[], StateStore]) -> int:
    """Runs three writers at once, each of which counts five attempts; returns the sum."""
    update(open_store(), lambda _: WatchState(active=Active(fingerprint="f", turn=1, since=0)))

    def count(old: WatchState) -> WatchState:
        assert old.active is not None
        more = old.active.model_copy(update={"attempts": old.active.attempts + 1})
        return old.model_copy(update={"active": more})

    def work() -> None:
        store = open_store()
        for _ in range(5):
            update(store, count)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = load(open_store()).active
    assert found is not None
    return found.attempts
