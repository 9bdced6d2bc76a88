"""A comparison of two runs, as `skymill runs compare` prints it."""

import json
from typing import Any

import click

from pipelines.local.compare import Examples, MetricPair, RunComparison

_LONGEST = 40


def print_comparison(found: RunComparison, as_json: bool) -> None:
    """Prints a comparison as tables, or as JSON."""
    if as_json:
        click.echo(found.to_json())
        return
    from rich.markup import escape

    from pipelines.local.console import console_on, plain_table

    console = console_on()
    click.echo(f"A  {found.a}\nB  {found.b}\n")
    for title, pairs in (("configuration", found.configuration), ("data", found.data)):
        if not pairs:
            click.echo(f"{title}: the same\n")
            continue
        table = plain_table(title, "A", "B", whole=(title,))
        for pair in pairs:
            table.add_row(f"  {escape(pair.name)}", *(escape(_text(it)) for it in (pair.a, pair.b)))
        console.print(table, "")
    if found.metrics:
        table = plain_table("metrics", "A", "95 %", "B", "95 %", "B - A", whole=("metrics",))
        for metric in found.metrics:
            table.add_row(f"  {escape(metric.name)}", *_metric_row(metric))
        console.print(table, "")
    if found.examples:
        _print_examples(found.examples)
    for note in found.notes:
        click.echo(note)


def _print_examples(examples: Examples) -> None:
    from rich.markup import escape

    from pipelines.local.console import console_on, plain_table

    chance = "" if examples.p_value is None else f" (p = {examples.p_value:.3g})"
    click.echo(
        f"same examples: {examples.common:,}, B better on {examples.better:,}, "
        f"worse on {examples.worse:,}{chance}; only in A {examples.only_a:,}, only in B "
        f"{examples.only_b:,}; with different truth {examples.other_truth:,}"
    )
    if examples.flips:
        table = plain_table(
            "  changed most", "truth", "A", "B", "change", whole=("  changed most",)
        )
        for flip in examples.flips:
            texts = (_text(it) for it in (flip.truth, flip.a, flip.b))
            table.add_row(f"  {escape(flip.key)}", *map(escape, texts), f"{flip.change:+.3f}")
        console_on().print(table, "")


def _metric_row(metric: MetricPair) -> tuple[str, ...]:
    known = metric.a is not None and metric.b is not None
    difference = f"{metric.b - metric.a:+.3f}" if known else "-"  # type: ignore[operator]
    sides = ((metric.a, metric.a_interval), (metric.b, metric.b_interval))
    cells = (cell for value, bounds in sides for cell in (_number(value), _interval(bounds)))
    return (*cells, difference)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}".removesuffix(".000")


def _interval(bounds: tuple[float, float] | None) -> str:
    return f"{bounds[0]:.3f} to {bounds[1]:.3f}" if bounds else ""


def _text(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
