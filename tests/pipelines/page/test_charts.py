"""Charts of a page, by what a reader sees in them."""

import math
import re

from pipelines.page.charts.forest import ForestRow, forest_chart
from pipelines.page.charts.lines import Line, line_chart
from pipelines.page.charts.places import ScoredPlace, place_chart


def ticks_of(chart: str) -> list[str]:
    return re.findall(r'class="tick mid"[^>]*>([^<]+)<', chart)


def test_an_axis_of_shares_ends_at_one() -> None:
    for values in ((0.95,), (0.9, 1.0), (1.0,)):
        rows = [ForestRow(f"{value}", 9, value) for value in values]
        found = [float(it) for it in ticks_of(forest_chart("", rows, "accuracy"))]
        assert found[-1] == 1, values
        assert len(found) >= 3, values


def test_an_axis_of_errors_covers_them() -> None:
    rows = [ForestRow("a", 9, 12.0, (9.0, 15.0)), ForestRow("b", 9, 30.0)]
    found = [float(it) for it in ticks_of(forest_chart("", rows, "m"))]
    assert found == [10, 15, 20, 25, 30]


def test_a_point_without_a_value_has_neither_line_nor_dot() -> None:
    points = [(0.0, 0.5), (1.0, math.nan), (2.0, 0.7)]
    chart = line_chart("", [Line("a", points, dots=True)], "epoch", "loss")
    assert chart.count("<circle") == 2
    assert "nan" not in chart


def test_a_map_across_the_date_line_is_not_as_wide_as_the_world() -> None:
    chart = place_chart("", [ScoredPlace(179.9, 10.0, 1.0), ScoredPlace(-179.9, 10.1, 0.0)])
    assert {"179.9°", "180°", "−179.9°"} <= set(ticks_of(chart))
