"""One step of a watch: poll the run, look, settle, claim, start; all state is in the store."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from random import random
from typing import Protocol

from pipelines.config.watch import RetryConfig
from pipelines.watch import transitions
from pipelines.watch.backoff import delay
from pipelines.watch.report import Report
from pipelines.watch.source import Look
from pipelines.watch.state import Active, WatchState, explain
from pipelines.watch.state_store import StateStore, load, update
from pipelines.watch.target import RunTarget, StartError
from pipelines.watch.transitions import Rules, key_of

_OF_LEASE_FOR_REQUEST = 1 / 3


class WatchedSource(Protocol):
    """Interface of the source that a watch needs."""

    def look(self) -> Look: ...

    def fingerprint(self) -> str: ...


@dataclass
class Watcher:
    """Watches one source for one target; any number of watchers may share one store.

    Attributes:
        name: the pipeline's; part of the keys of its runs.
        clock: returns seconds since 1970, roughly synchronised between watchers.
        draw: returns a random number from 0 to 1.
    """

    name: str
    source: WatchedSource
    store: StateStore
    target: RunTarget
    rules: Rules
    retry: RetryConfig = field(default_factory=RetryConfig)
    report: Report = field(default_factory=Report)
    clock: Callable[[], float] = time.time
    draw: Callable[[], float] = random

    def step(self, look: bool = True) -> WatchState:
        """Does what is due; without `look`, it looks only before it starts a run.

        Raises:
            WatchError: the source, the store or the target cannot be reached. Nothing is lost:
                the next step continues from the store.
        """
        state = self._poll_run(load(self.store))
        if look or transitions.can_claim(state, self.clock()):
            state = self._look()
        if transitions.can_claim(state, self.clock()):
            state = self._claim()
        self.report.state_changed(state)
        return state

    def _poll_run(self, state: WatchState) -> WatchState:
        active = state.active
        if active is None or not active.run_id:
            return state
        end = self.target.ended(active.run_id)
        if end is None:
            return state
        state = update(
            self.store,
            lambda old: transitions.ended(old, active.run_id, end.outcome, end.took, self.clock()),
        )
        self.report.event("ended", run=active.run_id, outcome=end.outcome)
        return state

    def _look(self) -> WatchState:
        seen = self.source.look()
        before = load(self.store)
        state = update(self.store, lambda old: transitions.observed(old, seen.token, self.clock()))
        if before.sighting is None or before.sighting.token != seen.token:
            self.report.event("changed", files=seen.files)
        self.report.look_succeeded()
        settled = seen.ready and transitions.has_settled(state, self.clock(), self.rules)
        return self._settle(seen) if settled and state.current is None else state

    def _settle(self, seen: Look) -> WatchState:
        """Computes the fingerprint, and checks that the data did not change meanwhile."""
        fingerprint = self.source.fingerprint()
        after = self.source.look()
        if after.token != seen.token or not after.ready:
            return update(
                self.store, lambda old: transitions.observed(old, after.token, self.clock())
            )
        state = update(self.store, lambda old: transitions.settled(old, seen.token, fingerprint))
        self.report.event("settled", fingerprint=fingerprint, new=state.wanted == fingerprint)
        return state

    def _claim(self) -> WatchState:
        ticket = uuid.uuid4().hex
        state = update(
            self.store, lambda old: transitions.claimed(old, ticket, self.clock(), self.rules)
        )
        if not transitions.holds(state, ticket) or state.active is None:
            return state  # another watcher was first
        return self._start(state, state.active, ticket)

    def _start(self, state: WatchState, active: Active, ticket: str) -> WatchState:
        key = key_of(self.name, active.fingerprint, active.turn)
        try:
            run_id = self.target.find(key)
            if run_id is None:
                if transitions.is_outdated(state):
                    return update(self.store, lambda old: transitions.dropped(old, ticket))
                run_id = self.target.start(key, lambda: self._require_lease(active))
        except Exception as error:  # of any kind: these data must get their run
            return self._failed(active, ticket, error)
        state = update(
            self.store,
            lambda old: transitions.submitted(old, active.fingerprint, active.turn, run_id),
        )
        self.report.event("started", run=run_id, key=key, fingerprint=active.fingerprint)
        return state

    def _require_lease(self, active: Active) -> None:
        """Raises StartError unless the lease leaves enough time for the request."""
        needed = self.rules.lease_s * _OF_LEASE_FOR_REQUEST
        if active.lease is None or self.clock() > active.lease.until - needed:
            raise StartError(
                f"getting ready took most of the {self.rules.lease_s:g} s of watch.lease_s"
            )

    def _failed(self, active: Active, ticket: str, error: Exception) -> WatchState:
        wait = delay(self.retry, active.attempts + 1, self.draw)
        reason = explain(error)
        self.report.event("start failed", error=reason, again_in_s=round(wait))
        until = self.clock() + wait
        return update(self.store, lambda old: transitions.failed(old, ticket, reason[:1000], until))
