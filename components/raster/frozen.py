"""The base of every configuration value."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Immutable, typed, and closed: an unknown key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
