"""Reason of a failure, from the log of the pod that failed."""

import re
from collections.abc import Iterator

#: An exception's own line, as Python and our entry point print it: a usual name, or one of words.
_REASON = re.compile(
    r"^(?:\w+\.)*(?:[A-Z]\w*(?:Error|Exception|Failed|Exit|Interrupt)\b|[A-Z][a-z]+[A-Z]\w*: ).*"
)
#: The line with which Kubeflow's driver or launcher ends, as glog writes it.
_FATAL = re.compile(r"^F\d{4} [\d:.]+ +\d+ [\w.]+:\d+\] (.*)")
#: Prefix of the driver's reason: a function with all its arguments, if it got that far.
_CALL = re.compile(
    r"^(?:KFP driver: |Failed to execute driver: (?:failed to execute driver: )?)"
    r"(?:driver\.\w+\([^)]*\) failed: )?"
)
#: The end of a fatal line that only repeats that the step itself has failed.
_OF_THE_STEP = re.compile(r"exit status \d+$")
#: Lines of Kubeflow's programs and of Argo's executor around those of a step.
_AROUND = re.compile(r"^(?:[IWEF]\d{4} \d|time=\S+ level=|Error: exit status \d)")
_LONGEST = 300


def last_reason(log: str, otherwise: str = "") -> str:
    """Returns the reason in a log, or an empty text.

    The first that exists of: the error of Kubeflow's driver or launcher, the last exception,
    `otherwise`, the last line of the step itself.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    exceptions = [line for line in lines if _REASON.match(line)]
    own = [line for line in lines if not _AROUND.match(line)]
    found = [*list(_fatal(lines))[-1:], *exceptions[-1:], otherwise, *own[-1:]]
    return next(filter(None, found), "")[:_LONGEST]


def _fatal(lines: list[str]) -> Iterator[str]:
    for line in lines:
        match = _FATAL.match(line)
        if match and not _OF_THE_STEP.search(match[1]):
            yield _CALL.sub("Kubeflow's driver: ", match[1])
