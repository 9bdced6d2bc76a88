"""How what a library says becomes part of an error of ours."""

import re

#: How TensorFlow marks the nodes of a graph in its messages.
_NODES = re.compile(r"\{\{[^}]*\}\}\s*")
#: What it puts before the messages of a compiled function.
_HEADING = "Graph execution error:"


def first_line(error: Exception) -> str:
    """The first line of what an error says that has words, as a sentence."""
    text = _NODES.sub("", getattr(error, "message", None) or str(error))
    lines = (line.strip() for line in text.splitlines())
    line = next((line for line in lines if line and line != _HEADING), type(error).__name__)
    return line if line.endswith((".", "!", "?")) else f"{line}."
