"""How what a library says becomes part of an error of ours."""

import re

#: How TensorFlow marks the nodes of a graph in its messages.
_NODES = re.compile(r"\{\{[^}]*\}\}\s*")


def first_line(error: Exception) -> str:
    """The first line of what an error says that has words, as a sentence."""
    text = _NODES.sub("", getattr(error, "message", None) or str(error))
    line = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return line if line.endswith((".", "!", "?")) else f"{line}."
