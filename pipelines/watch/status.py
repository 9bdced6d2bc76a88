"""Status of a watch, as a table or as JSON."""

import json
import sys

from rich.markup import escape

from components.raster.masking import masked
from pipelines.local.console import console_on, plain_table
from pipelines.watch.report import utc
from pipelines.watch.state import Active, Done, WatchState
from pipelines.watch.transitions import key_of

_SHOWN = 10


def print_status(state: WatchState, name: str, place: str, as_json: bool) -> None:
    """Prints the status to standard output."""
    if as_json:
        known = state.model_dump(mode="json", exclude={"name"})
        json.dump({"name": name, "place": place, "now": now_of(state), **known}, sys.stdout)
        print()
        return
    print(f"{name}: {now_of(state)}  ({masked(place)})")
    if not state.active and not state.done:
        return
    table = plain_table("key", "run", "state", "since or at (UTC)", "", whole=("key", "run"))
    if state.active:
        table.add_row(*map(escape, _active_row(name, state.active)))
    for done in reversed(state.done[-_SHOWN:]):
        table.add_row(*map(escape, _done_row(name, done)))
    console_on().print(table)


def now_of(state: WatchState) -> str:
    """Describes in one line what the watch is waiting for."""
    if state.sighting is None:
        return "nothing has been looked at yet"
    if state.active and not state.active.run_id:
        return "a run is being started" if not state.active.error else "a start failed"
    waits = "new data wait for the end of a run" if state.wanted else "a run is under way"
    if state.active:
        return waits
    if state.current is None:
        return f"the data have changed, last at {utc(state.sighting.since)}, and not settled"
    return "new data, a run is due" if state.wanted else "no new data"


def _active_row(name: str, active: Active) -> tuple[str, ...]:
    key = key_of(name, active.fingerprint, active.turn)
    if active.run_id:
        return key, active.run_id, "under way", utc(active.since), ""
    if not active.error:
        return key, "", "being started", utc(active.since), ""
    again = f"again at {utc(active.not_before)}: {active.error}"
    return key, "", f"failed {active.attempts} times", utc(active.since), again


def _done_row(name: str, done: Done) -> tuple[str, ...]:
    note = "" if done.counts else "these data may have another run"
    return (
        key_of(name, done.fingerprint, done.turn),
        done.run_id,
        done.outcome,
        utc(done.ended),
        note,
    )
