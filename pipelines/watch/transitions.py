"""State machine of a watch: pure transitions, the only functions that change a state.

    seen -> settled -> claimed (by one, for a time) -> submitted (a run's id) -> ended

A store applies each of them atomically, so the slower of two watchers finds it done.
"""

from dataclasses import dataclass

from pipelines.watch.state import (
    MOST_DONE,
    Active,
    Done,
    KnownFingerprint,
    Lease,
    Sighting,
    WatchState,
)


@dataclass(frozen=True)
class Rules:
    """The times that transitions depend on, in seconds."""

    settle_s: float
    lease_s: float


def key_of(name: str, fingerprint: str, turn: int) -> str:
    """Returns the key that identifies a run at its target: equal for equal data in any watcher."""
    name = name.replace("_", ".")  # targets accept no underscores, and names have no dots
    return f"{name}-{fingerprint[:24]}" + (f"-{turn}" if turn > 1 else "")


def observed(state: WatchState, token: str, now: float) -> WatchState:
    """Records a look; the settling time restarts if the source changed or the clock went back."""
    seen = state.sighting
    if seen and seen.token == token and seen.since <= now:
        return state
    return state.model_copy(update={"sighting": Sighting(token=token, since=now)})


def has_settled(state: WatchState, now: float, rules: Rules) -> bool:
    """Checks whether the source has been unchanged for the settling time."""
    return state.sighting is not None and now - state.sighting.since >= rules.settle_s


def settled(state: WatchState, token: str, fingerprint: str) -> WatchState:
    """Records the source's fingerprint, computed while its token was `token`."""
    if state.sighting is None or state.sighting.token != token:
        return state  # another look has found a change
    found: dict[str, object] = {"known": KnownFingerprint(token=token, fingerprint=fingerprint)}
    active = state.active
    if active and active.run_id and active.fingerprint != fingerprint:
        found["active"] = active.model_copy(update={"moved": True})
    return state.model_copy(update=found)


def claimed(state: WatchState, ticket: str, now: float, rules: Rules) -> WatchState:
    """Claims the run that is due for a ticket; unchanged if none is due or it is claimed."""
    if not can_claim(state, now):
        return state
    lease = Lease(ticket=ticket, until=now + rules.lease_s)
    active = state.active
    if active is None:
        fingerprint = state.wanted or ""
        turn = 1 + max((one.turn for one in state.done_with(fingerprint)), default=0)
        active = Active(fingerprint=fingerprint, turn=turn, since=now)
    return state.model_copy(update={"active": active.model_copy(update={"lease": lease})})


def can_claim(state: WatchState, now: float) -> bool:
    """Checks whether a run is due: new data and no active run, or a failed or expired start."""
    active = state.active
    if active is None:
        return state.wanted is not None
    if active.run_id or active.not_before > now:
        return False
    return active.lease is None or active.lease.until <= now


def holds(state: WatchState, ticket: str) -> bool:
    """Checks whether `ticket` still holds the claim."""
    active = state.active
    return bool(active and active.lease and active.lease.ticket == ticket and not active.run_id)


def is_outdated(state: WatchState) -> bool:
    """Checks whether the source's data differ from the claimed ones."""
    return state.active is not None and state.active.fingerprint != state.current


def dropped(state: WatchState, ticket: str) -> WatchState:
    """Drops a claim whose run does not exist and whose data the source no longer holds."""
    return state.model_copy(update={"active": None}) if holds(state, ticket) else state


def failed(state: WatchState, ticket: str, error: str, not_before: float) -> WatchState:
    """Records a failed start; any watcher may retry it from `not_before` on."""
    if not holds(state, ticket) or state.active is None:
        return state
    changes = {
        "lease": None,
        "attempts": state.active.attempts + 1,
        "not_before": not_before,
        "error": error,
    }
    return state.model_copy(update={"active": state.active.model_copy(update=changes)})


def submitted(state: WatchState, fingerprint: str, turn: int, run_id: str) -> WatchState:
    """Records the run of a claim, whichever watcher started it."""
    active = state.active
    if not active or active.run_id or (active.fingerprint, active.turn) != (fingerprint, turn):
        return state
    changes = {"lease": None, "run_id": run_id, "not_before": 0.0, "error": ""}
    return state.model_copy(update={"active": active.model_copy(update=changes)})


def ended(state: WatchState, run_id: str, outcome: str, took: str, now: float) -> WatchState:
    """Records that a run has ended, successfully or not, and marks its data as done.

    A run takes the data that are present when it starts. If the target reports which it `took`,
    those are done; if it does not and the source changed meanwhile, no data are.
    """
    active = state.active
    if active is None or active.run_id != run_id:
        return state
    meant = active.fingerprint
    counts = took == meant if took else not active.moved
    found = [_done(state, meant, run_id, outcome, now, counts, active.turn)]
    if took and took != meant:
        found.append(_done(state, took, run_id, outcome, now, True))
    return state.model_copy(update={"active": None, "done": (*state.done, *found)[-MOST_DONE:]})


def _done(
    state: WatchState,
    fingerprint: str,
    run_id: str,
    outcome: str,
    now: float,
    counts: bool,
    turn: int | None = None,
) -> Done:
    turn = turn or 1 + max((one.turn for one in state.done_with(fingerprint)), default=0)
    return Done(
        fingerprint=fingerprint,
        turn=turn,
        run_id=run_id,
        outcome=outcome,
        ended=now,
        counts=counts,
    )


def marked_new(state: WatchState) -> WatchState:
    """Marks the source's data as new again."""
    done = tuple(
        one.model_copy(update={"counts": False}) if one.fingerprint == state.current else one
        for one in state.done
    )
    return state.model_copy(update={"done": done})


def skipped(state: WatchState, now: float) -> WatchState:
    """Marks the source's data as done, without a run."""
    if state.wanted is None or state.active is not None:
        return state
    done = _done(state, state.wanted, "", "skipped", now, True)
    return state.model_copy(update={"done": (*state.done, done)[-MOST_DONE:]})


def seconds_to_settle(state: WatchState, now: float, rules: Rules) -> float | None:
    """Returns the rest of the settling time; None if the watch is not waiting for it."""
    if state.sighting is None or state.current is not None or has_settled(state, now, rules):
        return None
    return state.sighting.since + rules.settle_s - now


def seconds_to_act(state: WatchState, now: float, run_s: float) -> float | None:
    """Returns the seconds until an action other than a look is due; None if none is."""
    active = state.active
    if active is None:
        return None
    if active.run_id:
        return run_s
    return max((active.lease.until if active.lease else 0.0) - now, active.not_before - now, 0.0)
