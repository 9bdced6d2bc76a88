"""Names of classes in STAC's classification extension."""

import re
from collections.abc import Sequence

_FORBIDDEN = re.compile(r"[^0-9A-Za-z_-]+")


def stac_class_names(names: Sequence[str]) -> list[str]:
    """Replaces the characters that the extension does not allow in the name of a class.

    Names that become equal get their index.

    >>> stac_class_names(["bare soil", "森林", "水"])
    ['bare_soil', '_-1', '_-2']
    """
    plain = [_FORBIDDEN.sub("_", name) for name in names]
    return [
        f"{name}-{index}" if plain.count(name) > 1 else name for index, name in enumerate(plain)
    ]
