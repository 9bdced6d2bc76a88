"""How what a library says becomes part of an error of ours."""


def first_line(error: Exception) -> str:
    """The first line of what an error says, as a sentence."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line if line.endswith((".", "!", "?")) else f"{line}."
