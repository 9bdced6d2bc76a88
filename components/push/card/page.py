"""Model card as one HTML page: no scripts, every text escaped, light and dark."""

import functools
from typing import Any

from components.node.pages import page_templates
from components.push.card.card import ModelCard
from components.push.card.wording import inputs_text, measured_text

_TEMPLATE = "model_card.html"
#: Metrics of a class that the table shows, if the task has them.
_CLASS_COLUMNS = ("support", "precision", "recall", "f1", "iou", "average_precision")


def card_page(card: ModelCard) -> str:
    """Renders the card as HTML."""
    known = {name for values in card.metrics.classes.values() for name in values}
    page: str = _template().render(
        card=card,
        columns=[name for name in _CLASS_COLUMNS if name in known],
        inputs=inputs_text(card),
        measured=functools.partial(measured_text, card.metrics),
    )
    return page


@functools.cache
def _template() -> Any:
    return page_templates("components.push.card").get_template(_TEMPLATE)
