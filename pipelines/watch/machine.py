"""From one state of a watch to the next: pure functions, and the only ones that change it.

    seen -> settled -> claimed (by one, for a time) -> submitted (a run's id) -> ended

A store applies each of them atomically, so whichever watcher comes second finds it done.
"""

from dataclasses import dataclass

from pipelines.watch.state import MOST_DONE, Active, Done, Known, Lease, Sighting, State


@dataclass(frozen=True)
class Rules:
    """The times that transitions depend on, in seconds."""

    settle_s: float
    lease_s: float


def key_of(name: str, fingerprint: str, turn: int) -> str:
    """What a run is found by at its target: the same for the same data, whoever starts it."""
    name = name.replace("_", ".")  # targets take no underscores, names no dots
    return f"{name}-{fingerprint[:24]}" + (f"-{turn}" if turn > 1 else "")


def observed(state: State, token: str, now: float) -> State:
    """A look: what changed starts to settle anew, and so it does when the clock was set back."""
    seen = state.sighting
    if seen and seen.token == token and seen.since <= now:
        return state
    return state.model_copy(update={"sighting": Sighting(token=token, since=now)})


def has_settled(state: State, now: float, rules: Rules) -> bool:
    """Whether the source has looked the same for long enough."""
    return state.sighting is not None and now - state.sighting.since >= rules.settle_s


def settled(state: State, token: str, fingerprint: str) -> State:
    """The fingerprint of what the source holds, taken while it looked like `token`."""
    if state.sighting is None or state.sighting.token != token:
        return state  # another look has seen it change
    found: dict[str, object] = {"known": Known(token=token, fingerprint=fingerprint)}
    active = state.active
    if active and active.run_id and active.fingerprint != fingerprint:
        found["active"] = active.model_copy(update={"moved": True})
    return state.model_copy(update=found)


def claimed(state: State, ticket: str, now: float, rules: Rules) -> State:
    """The right to start the run that is due, if one is and nobody holds it."""
    if not can_claim(state, now):
        return state
    lease = Lease(ticket=ticket, until=now + rules.lease_s)
    active = state.active
    if active is None:
        fingerprint = state.wanted or ""
        turn = 1 + max((one.turn for one in state.done_with(fingerprint)), default=0)
        active = Active(fingerprint=fingerprint, turn=turn, since=now)
    return state.model_copy(update={"active": active.model_copy(update={"lease": lease})})


def can_claim(state: State, now: float) -> bool:
    """Whether a run is due: new data and nothing under way, or a start that did not end well."""
    active = state.active
    if active is None:
        return state.wanted is not None
    if active.run_id or active.not_before > now:
        return False
    return active.lease is None or active.lease.until <= now


def holds(state: State, ticket: str) -> bool:
    """Whether a claim is still that of `ticket`."""
    active = state.active
    return bool(active and active.lease and active.lease.ticket == ticket and not active.run_id)


def is_outdated(state: State) -> bool:
    """Whether what was claimed is no longer what the source holds."""
    return state.active is not None and state.active.fingerprint != state.current


def dropped(state: State, ticket: str) -> State:
    """A claim given back: its run does not exist, and the source holds other data by now."""
    return state.model_copy(update={"active": None}) if holds(state, ticket) else state


def failed(state: State, ticket: str, error: str, not_before: float) -> State:
    """A start that failed: it is tried again, by anybody, when its time has come."""
    if not holds(state, ticket) or state.active is None:
        return state
    changes = {
        "lease": None,
        "attempts": state.active.attempts + 1,
        "not_before": not_before,
        "error": error,
    }
    return state.model_copy(update={"active": state.active.model_copy(update=changes)})


def submitted(state: State, fingerprint: str, turn: int, run_id: str) -> State:
    """The run of a claim is there, whoever started it."""
    active = state.active
    if not active or active.run_id or (active.fingerprint, active.turn) != (fingerprint, turn):
        return state
    changes = {"lease": None, "run_id": run_id, "not_before": 0.0, "error": ""}
    return state.model_copy(update={"active": active.model_copy(update=changes)})


def ended(state: State, run_id: str, outcome: str, took: str, now: float) -> State:
    """A run has ended, well or not: its data are done with.

    A run takes the data that are there when it starts. Where the target tells which it `took`,
    those are done with; where it does not and the source held others meanwhile, nothing is.
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
    state: State,
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


def asked_again(state: State) -> State:
    """The data that the source holds count as new once more."""
    done = tuple(
        one.model_copy(update={"counts": False}) if one.fingerprint == state.current else one
        for one in state.done
    )
    return state.model_copy(update={"done": done})


def skipped(state: State, now: float) -> State:
    """The data that the source holds count as done with, without a run."""
    if state.wanted is None or state.active is not None:
        return state
    done = _done(state, state.wanted, "", "skipped", now, True)
    return state.model_copy(update={"done": (*state.done, done)[-MOST_DONE:]})


def seconds_to_settle(state: State, now: float, rules: Rules) -> float | None:
    """How long the source must stay as it is; None where that is not what is waited for."""
    if state.sighting is None or state.current is not None or has_settled(state, now, rules):
        return None
    return state.sighting.since + rules.settle_s - now


def seconds_to_act(state: State, now: float, run_s: float) -> float | None:
    """How long until something other than a look is due; None where nothing is."""
    active = state.active
    if active is None:
        return None
    if active.run_id:
        return run_s
    return max((active.lease.until if active.lease else 0.0) - now, active.not_before - now, 0.0)
