"""Model card as plain text: for a terminal, and sentences that its page shares."""

from collections.abc import Iterator

from components.push.card.card import CardMetrics, Measured, ModelCard
from serving.contract.needs import range_text


def measured_text(metrics: CardMetrics, item: Measured) -> str:
    """Returns a sentence on a metric: its value, its interval, and its examples.

    >>> whole = Measured(slice="overall", examples=288, value=0.92, interval=(0.883, 0.946))
    >>> found = CardMetrics(split="test", headline="accuracy", lower_is_better=False, overall=whole)
    >>> print(measured_text(found, whole))
    accuracy 0.920, measured on 288 examples of test; 95 % interval 0.883 to 0.946.
    """
    groups = "group" if item.groups == 1 else "groups"
    of_groups = f", from {item.groups:,} {groups}" if item.groups else ""
    noun = "example" if item.examples == 1 else "examples"
    value = "unknown" if item.value is None else f"{item.value:.3f}"
    text = f"{metrics.headline} {value}, measured on {item.examples:,} {noun} of {metrics.split}"
    if item.interval is None:
        return f"{text}{of_groups}."
    low, high = item.interval
    return f"{text}{of_groups}; 95 % interval {low:.3f} to {high:.3f}."


def inputs_text(card: ModelCard) -> str:
    """Returns a sentence on the images that the model is meant for."""
    inputs = card.inputs
    shape = f"{inputs.height_px} x {inputs.width_px} pixels"
    if not inputs.bands:
        return f"RGB photographs; the model sees {shape} (fit: {inputs.fit})"
    parts = [f"tiles with the bands {', '.join(inputs.bands)} ({inputs.values} values)"]
    if inputs.gsd_m is not None:
        parts.append(f"pixels of {range_text(inputs.gsd_m)} m")
    if inputs.sensors:
        parts.append(f"from {', '.join(inputs.sensors)}")
    return f"{', '.join(parts)}; the model sees {shape} (fit: {inputs.fit})"


def card_text(card: ModelCard, version: int) -> str:
    """Formats the card of a version for a terminal."""
    return "\n".join(_lines(card, version))


def _lines(card: ModelCard, version: int) -> Iterator[str]:
    terms, data, metrics = card.terms, card.data, card.metrics
    yield f"{card.name}, version {version}: {card.task}, pushed {card.made}"
    if terms.purpose:
        yield f"purpose: {terms.purpose}"
    if card.architecture:
        pretrained = f", pretrained: {card.pretrained}" if card.pretrained else ""
        yield f"network: {card.architecture}{pretrained}"
    yield f"inputs: {inputs_text(card)}"
    if card.classes:
        yield f"classes: {', '.join(card.classes)}"
    images = ", ".join(f"{split} {count:,}" for split, count in data.images.items())
    yield f"data: {images or 'counts unknown'}; {sum(data.rejects.values()):,} rejected"
    if data.split:
        yield f"splits: {data.split}"
    if data.train_to_test_m is not None:
        yield f"nearest train and test tiles: {data.train_to_test_m:,.0f} m"
    if data.bbox is not None:
        yield "area (west, south, east, north): " + ", ".join(f"{it:.4f}" for it in data.bbox)
    yield f"metrics: {measured_text(metrics, metrics.overall)}"
    for item in (*metrics.worst, *metrics.corrupted):
        yield f"  {item.slice}: {measured_text(metrics, item)}"
    yield f"gates passed: {', '.join(gate.gate for gate in card.gates) or 'none'}"
    for gate in card.gates:
        yield from (f"  allowed: {text}" for text in gate.allowed)
    yield "limits:"
    yield from (f"  - {text}" for text in card.limits)
    yield f"licence: {terms.licence or 'not stated'}"
    yield f"contact: {terms.contact or 'not stated'}"
    yield f"run {card.run_id}; data {data.fingerprint[:12]}; model {card.model_sha256[:12]}"
