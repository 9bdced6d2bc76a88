"""Reason of a failure, from the log of the pod that failed."""

import re

#: An exception's own line, as Python and our entry point print it.
_REASON = re.compile(r"^(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Failed|Exit|Interrupt)\b.*")
_LONGEST = 300


def last_reason(log: str, otherwise: str = "") -> str:
    """Returns the last exception in a log, or else `otherwise`, or else the log's last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    found = [line for line in lines if _REASON.match(line)]
    return next(iter([*found[-1:], *filter(None, [otherwise]), *lines[-1:]]), "")[:_LONGEST]
