"""What an error of a TensorFlow graph says, without the names of the graph's nodes.

Such a message names the node that failed, and a refusal of `serving.graph.refusing` is wrapped in
an assertion. Neither helps whoever sent the input. The light client reads messages with this too,
so that nothing here imports TensorFlow or pydantic.
"""

import re

#: `Refusal.CORRUPT`, whose module would load pydantic.
CORRUPT = "corrupt"

# Several nodes may fail at once; the first one is told.
_FIRST_ROOT = re.compile(
    r"^\d+ root error\(s\) found\.\s*\(0\) [A-Za-z_ ]+: (.*?)(?=\n\s*\(1\) |\n\d+ successful|\Z)",
    re.DOTALL,
)
_TRACE = re.compile(
    r"\n*(?:Original stack trace for |Errors may have originated from ).*", re.DOTALL
)
_WRAPPING = re.compile(
    r"^Graph execution error:\s*|^Detected at node .*\n?|^Node: '.*'$\n?"
    r"|^<stack traces unavailable>\n?|\s*\[Op:[^\]]*\].*$",
    re.MULTILINE,
)
_PLACES = re.compile(
    r"\s*\[\[(?:\{\{|Node: ).*?\]\]|\n\s*\[\[[^\[\]]*\]\]|\{\{(?:function_)?node [^}]*\}\}\s*",
    re.DOTALL,
)
_ASSERTION = re.compile(r"^assertion failed: \[(.*?)\]$", re.DOTALL)
# TensorFlow's decoders of PNG and JPEG on a file that is broken inside.
_BROKEN_IMAGE = re.compile(
    r"Invalid PNG\b|PNG size too large|jpeg::Uncompress failed|Invalid JPEG data"
)


def plain_message(message: str) -> str:
    """The message alone: without nodes, stack traces and the wrapping of an assertion."""
    root = _FIRST_ROOT.match(message)
    text = _TRACE.sub("", root[1] if root else message)
    text = _PLACES.sub("", _WRAPPING.sub("", text)).strip()
    return _ASSERTION.sub(r"\1", text).strip()


def refusal_message(message: str) -> str:
    """The message as `refusal: detail` where the decoder refuses a file, also one broken inside."""
    text = plain_message(message)
    return f"{CORRUPT}: {text}" if _BROKEN_IMAGE.match(text) else text
