"""Messages of libraries as sentences for our own errors."""

from components.raster.graph_errors import plain_message


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message as a sentence, without graph locations.

    >>> first_line(ValueError("the mask has 3 bands"))
    'the mask has 3 bands.'
    """
    text = plain_message(getattr(error, "message", None) or str(error))
    telling = (line.strip() for line in text.splitlines() if line.strip() and not line[0].isspace())
    line = next(telling, type(error).__name__)
    return line if line.endswith((".", "!", "?")) else f"{line}."
