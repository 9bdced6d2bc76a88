"""Messages of TensorFlow graph errors, without the names of graph nodes.

TensorFlow's message names the failed node, and wraps a refusal of `serving.graph.refusing` in an
assertion. Neither helps the sender of the input. The client uses this module too, so it imports
neither TensorFlow nor pydantic.
"""

import re

#: `Refusal.CORRUPT`; its module would import pydantic.
CORRUPT = "corrupt"

# Several nodes may fail at once; the first one is kept.
_FIRST_ROOT = re.compile(
    r"^\d+ root error\(s\) found\.\s*\(0\) [A-Za-z_ ]+: (.*?)(?=\n\s*\(1\) |\n\d+ successful|\Z)",
    re.DOTALL,
)
_TRACE = re.compile(
    r"\n*(?:Original stack trace for |Errors may have originated from ).*", re.DOTALL
)
_WRAPPING = re.compile(
    r"^Graph execution error:\s*|^Detected at node .*\n?(?:(?:[ \t].*)?\n)*|^Node: '.*'$\n?"
    r"|^<stack traces unavailable>\n?|\s*\[Op:[^\]]*\].*$",
    re.MULTILINE,
)
_PLACES = re.compile(
    r"\s*\[\[(?:\{\{|Node: ).*?\]\]|\n\s*\[\[[^\[\]]*\]\]|\{\{(?:function_)?node [^}]*\}\}\s*",
    re.DOTALL,
)
_ASSERTION = re.compile(r"^assertion failed: \[(.*?)\]$", re.DOTALL)
# Errors of TensorFlow's PNG and JPEG decoders for a corrupt file.
_BROKEN_IMAGE = re.compile(
    r"Invalid PNG\b|PNG size too large|jpeg::Uncompress failed|Invalid JPEG data"
)


def plain_message(message: str) -> str:
    """Returns the message without node names, stack traces and the assertion around it."""
    root = _FIRST_ROOT.match(message)
    text = _TRACE.sub("", root[1] if root else message)
    text = _PLACES.sub("", _WRAPPING.sub("", text)).strip()
    return _ASSERTION.sub(r"\1", text).strip()


def refusal_message(message: str) -> str:
    """Returns the message, as `refusal: detail` if the decoder refuses or fails on a file."""
    text = plain_message(message)
    return f"{CORRUPT}: {text}" if _BROKEN_IMAGE.match(text) else text
