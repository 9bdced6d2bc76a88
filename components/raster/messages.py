"""A library's message as one sentence of an error of ours."""

import re

#: How TensorFlow marks the nodes of a graph in its messages.
_NODES = re.compile(r"\{\{[^}]*\}\}\s*")
#: The lines that it puts before the message of a compiled function, which say where that was.
_WHERE = re.compile(
    r"(\s.*)?|Graph execution error:|Detected at node .*|<stack traces unavailable>"
)


def first_line(error: Exception) -> str:
    """The first line of what an error says, without where in a graph it was, as a sentence."""
    text = _NODES.sub("", getattr(error, "message", None) or str(error)).strip()
    telling = (line.strip() for line in text.splitlines() if not _WHERE.fullmatch(line))
    line = next(telling, type(error).__name__)
    return line if line.endswith((".", "!", "?")) else f"{line}."
