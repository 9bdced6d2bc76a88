"""Templates of self-contained HTML pages, which escape every text and run no script."""

import math
from collections.abc import Callable
from typing import Any


def page_templates(package: str, **filters: Callable[..., str]) -> Any:
    """Returns the Jinja environment of the templates in a package's folder `templates`.

    A template that uses an unknown name fails. The filter `number` is included; `filters` adds
    others.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number_text, **filters}
    return environment


def number_text(value: float | None) -> str:
    """Formats a number for people: counts whole, others to three places, a dash for None.

    >>> number_text(1512), number_text(0.92014), number_text(-0.0002), number_text(None)
    ('1,512', '0.920', '0.000', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if value == int(value) and abs(value) >= 2 else f"{value:z.3f}"
