"""Base class of all configuration values."""

import json
from typing import Annotated, Any

from pydantic import AllowInfNan, BaseModel, ConfigDict

#: A pixel value: NaN and the infinities included, which configurations refuse
#: everywhere else.
PixelValue = Annotated[float, AllowInfNan(True)]


class Frozen(BaseModel):
    """Immutable, typed model that refuses unknown keys."""

    # JSON has no infinities and no NaN: they are written as strings, which are read back as floats.
    # Instances are validated again, so that a default inside a tree sees the tree's context: its
    # relative locations are anchored like those that a user writes.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        revalidate_instances="always",
        allow_inf_nan=False,
        ser_json_inf_nan="strings",
    )

    def json_tree(self, **options: Any) -> Any:
        """Returns plain values for strict JSON, which validate to an equal instance.

        `model_dump(mode="json")` would leave infinities as they are.

        Args:
            options: of `model_dump_json`.
        """
        return json.loads(self.model_dump_json(**options))


def message_in(finding: Any) -> str:
    """Returns the message of one of pydantic's errors, without its prefix of our own checks.

    >>> message_in({"msg": "Value error, give final_rate"})
    'give final_rate'
    """
    return str(finding["msg"]).removeprefix("Value error, ")
