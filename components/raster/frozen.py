"""The base of every configuration value."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Immutable, typed, and closed: an unknown key is an error, never ignored."""

    # Instances are validated again so that a default inside a tree sees the tree's context: its
    # relative locations are anchored like those that a user wrote.
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, revalidate_instances="always"
    )
