"""State of a watch between looks: one small document, in any kind of store."""

from collections.abc import Iterator

from pydantic import Field, ValidationError

from components.raster.errors import SkymillError
from components.raster.frozen import Frozen
from components.raster.masking import masked

FORMAT = 1
#: Number of past runs to remember. Older ones are still found at the target, by their keys.
MOST_DONE = 200


class WatchError(SkymillError):
    """A watch cannot read its source, store its state or start a run."""


def explain(error: Exception) -> str:
    """Formats an error with its addresses masked; one that is not ours also shows its type."""
    ours = isinstance(error, SkymillError)
    return masked(str(error) if ours else f"{type(error).__name__}: {error}")


class Sighting(Frozen):
    """State of the source at the last look, and since when (seconds since 1970)."""

    token: str
    since: float


class KnownFingerprint(Frozen):
    """The fingerprint of a source that had settled while it looked like `token`."""

    token: str
    fingerprint: str


class Lease(Frozen):
    """One attempt to start a run: nobody else may, until the time is up."""

    ticket: str
    until: float


class Active(Frozen):
    """The one piece of data that is being started, or whose run is under way.

    Attributes:
        turn: 1, or more where the same data were asked for again.
        run_id: the target's name of the run; empty until the start is on record.
        attempts: starts that failed; `not_before` and `error` are of the last one.
        moved: the source held other data, settled, while the run was under way.
    """

    fingerprint: str
    turn: int
    since: float
    lease: Lease | None = None
    run_id: str = ""
    attempts: int = 0
    not_before: float = 0.0
    error: str = ""
    moved: bool = False


class Done(Frozen):
    """Data for which a run was started and has ended.

    Attributes:
        counts: whether these data need no other run.
    """

    fingerprint: str
    turn: int
    run_id: str
    outcome: str
    ended: float
    counts: bool = True


class WatchState(Frozen):
    """The whole memory of one watch.

    Attributes:
        name: the pipeline's, where the store holds only one document; else empty.
    """

    format: int = FORMAT
    name: str = ""
    sighting: Sighting | None = None
    known: KnownFingerprint | None = None
    active: Active | None = None
    done: tuple[Done, ...] = Field(default=(), max_length=MOST_DONE)

    @property
    def current(self) -> str | None:
        """Fingerprint of the source at the last look; None while it is unsettled."""
        if self.known and self.sighting and self.known.token == self.sighting.token:
            return self.known.fingerprint
        return None

    @property
    def wanted(self) -> str | None:
        """Fingerprint of the data for which no run has been started yet."""
        found = self.current
        if found is None or any(one.counts for one in self.done_with(found)):
            return None
        return None if self.active and self.active.fingerprint == found else found

    def done_with(self, fingerprint: str) -> Iterator[Done]:
        """Yields the past runs for a fingerprint."""
        return (one for one in self.done if one.fingerprint == fingerprint)


def to_text(state: WatchState) -> str:
    """Serialises a state to the document that stores keep."""
    return state.model_dump_json()


def from_text(text: str | None, place: str) -> WatchState:
    """Parses a document; a store without one gives the initial state.

    Raises:
        WatchError: the text is not such a document.
    """
    if not text:
        return WatchState()
    try:
        state = WatchState.model_validate_json(text)
    except ValidationError as error:
        raise WatchError(
            f"{place}: holds no state of a watch ({error.error_count()} findings, the first: "
            f"{error.errors()[0]['msg']}). Name another place in `watch.state`."
        ) from error
    if state.format != FORMAT:
        raise WatchError(f"{place}: was written by another release (format {state.format}).")
    return state
