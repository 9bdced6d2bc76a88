"""The root of every error that a user may see."""


class SkymillError(Exception):
    """What was wrong, where, and what to do next, in one message."""


class ConfigError(SkymillError):
    """A configuration names something that does not exist or cannot be."""


class DataError(SkymillError):
    """A data source as a whole cannot be read; a single bad item is a reject instead."""
