"""Cron as the server's library (github.com/robfig/cron, 1.2) reads it: seconds first, always.

Five fields are taken too: the one that may be left out is the last, the day of the week.
"""

import datetime
import re
from dataclasses import dataclass

from tests.kubeflow.api_server.refusals import invalid

_BOUNDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: tuple[dict[str, int], ...] = (
    *({} for _ in range(4)),
    {name: number for number, name in enumerate(_MONTHS, 1)},
    {name: number for number, name in enumerate(_DAYS)},
)
_SHORT = {
    "@hourly": "0 0 * * * *",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@weekly": "0 0 0 * * 0",
    "@monthly": "0 0 0 1 * *",
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
}


@dataclass(frozen=True)
class Cron:
    """The values of each field, and whether the two kinds of day are both restricted."""

    fields: tuple[frozenset[int], ...]
    either_day: bool

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Raises Refusal as the server does."""
        words = _SHORT.get(text, text).split()
        if not 5 <= len(words) <= 6:
            raise _unsupported(f"Expected 5 to 6 fields, found {len(words)}: {text}")
        words += ["*"] * (6 - len(words))
        fields = tuple(map(_values, words, _BOUNDS, _NAMES))
        starred = [word[0] in "*?" for word in (words[3], words[5])]
        return cls(fields, either_day=not any(starred))

    def next(self, after: float) -> float:
        """The first time after another, in seconds since 1970, UTC."""
        moment = datetime.datetime.fromtimestamp(int(after) + 1, datetime.UTC)
        for _ in range(366 * 5):
            if moment.month in self.fields[4] and self._is_day(moment):
                for hour in sorted(self.fields[2]):
                    for minute in sorted(self.fields[1]):
                        for second in sorted(self.fields[0]):
                            found = moment.replace(hour=hour, minute=minute, second=second)
                            if found >= moment:
                                return found.timestamp()
            moment = (moment + datetime.timedelta(days=1)).replace(hour=0, minute=0, second=0)
        raise AssertionError("never")

    def _is_day(self, moment: datetime.datetime) -> bool:
        fits = (moment.day in self.fields[3], (moment.weekday() + 1) % 7 in self.fields[5])
        return any(fits) if self.either_day else all(fits)


def _values(word: str, bounds: tuple[int, int], names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, slash, step = part.partition("/")
        low, high = bounds
        if span not in ("*", "?"):
            ends = [_number(one, names) for one in span.split("-")]
            low, high = ends[0], (ends[-1] if len(ends) > 1 or not slash else bounds[1])
        if low < bounds[0]:
            raise _unsupported(f"Beginning of range ({low}) below minimum ({bounds[0]}): {part}")
        if high > bounds[1]:
            raise _unsupported(f"End of range ({high}) above maximum ({bounds[1]}): {part}")
        if low > high:
            raise _unsupported(f"Beginning of range ({low}) beyond end of range ({high}): {part}")
        found |= set(range(low, high + 1, int(step or 1)))
    return frozenset(found)


def _number(word: str, names: dict[str, int]) -> int:
    if word.lower() in names:
        return names[word.lower()]
    if not re.fullmatch("[0-9]+", word):
        raise _unsupported(f"Failed to parse int from {word}")
    return int(word)


def _unsupported(message: str) -> Exception:
    return invalid(
        "Schedule cron is not a supported format(https://godoc.org/github.com/robfig/cron). "
        f"Error: {message}"
    )
