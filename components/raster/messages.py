"""Library messages as sentences of project errors."""

import re

#: TensorFlow's marks for graph nodes in its messages.
_NODES = re.compile(r"\{\{[^}]*\}\}\s*")
#: Lines that TensorFlow puts before the message of a compiled function, with its location.
_WHERE = re.compile(
    r"(\s.*)?|Graph execution error:|Detected at node .*|<stack traces unavailable>"
)


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message as a sentence, without graph locations.

    >>> first_line(ValueError("the mask has 3 bands"))
    'the mask has 3 bands.'
    """
    text = _NODES.sub("", getattr(error, "message", None) or str(error)).strip()
    telling = (line.strip() for line in text.splitlines() if not _WHERE.fullmatch(line))
    line = next(telling, type(error).__name__)
    return line if line.endswith((".", "!", "?")) else f"{line}."
