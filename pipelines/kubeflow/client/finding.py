"""Result of one check of an installation."""

from dataclasses import asdict, dataclass

OK, WARNING, FAILED, UNKNOWN = "ok", "warning", "failed", "unknown"


@dataclass(frozen=True)
class DoctorFinding:
    """Result of one check.

    Attributes:
        check: the name of the check.
        state: ok; warning where runs work, but not as one may expect; failed; or unknown where it
            could not be checked from here.
        detail: the fact that was found.
        remedy: the next action, if the state is not ok.
    """

    check: str
    state: str
    detail: str
    remedy: str = ""

    def to_dict(self) -> dict[str, str]:
        """Returns plain values for JSON."""
        return asdict(self)
