"""Regular expressions in a configuration that find the group or the day of an image in its name."""

import re


def with_one_group(pattern: str | None) -> str | None:
    """Returns the pattern; raises ValueError unless it has one group in parentheses."""
    if pattern is not None and re.compile(pattern).groups != 1:
        raise ValueError("needs one group in parentheses")
    return pattern


def found_by(pattern: str | None, name: str) -> str | None:
    """Returns the text that a pattern's group matches in a name."""
    found = re.search(pattern, name) if pattern else None
    return found[1] if found else None
