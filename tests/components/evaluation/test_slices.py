"""Names, selection and boundaries of slices."""

import pytest

from components.evaluation.slices import (
    bin_name,
    feature_of,
    parse_selector,
    slice_name,
    slice_values,
)
from components.raster.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "matching", "others"),
    [
        ("overall", [()], [(("region", "north"),)]),
        (
            "region",
            [(("region", "north"),), (("region", "south"),)],
            [(), (("region", "north"), ("season", "dry"))],
        ),
        ("region=north", [(("region", "north"),)], [(("region", "south"),)]),
        (
            "season=dry,region",
            [(("region", "north"), ("season", "dry"))],
            [(("region", "north"), ("season", "wet"))],
        ),
        (
            r"region=Bern\, Switzerland,season",
            [(("region", "Bern, Switzerland"), ("season", "dry"))],
            [(("region", "Bern"), ("season", "dry"))],
        ),
    ],
)
def test_selectors(text: str, matching: list, others: list) -> None:
    selector = parse_selector(text)
    assert all(selector.matches(key) for key in matching)
    assert not any(selector.matches(key) for key in others)


def test_a_selector_is_written_with_sorted_features() -> None:
    assert str(parse_selector(" season=dry , region ")) == "region,season=dry"
    assert not parse_selector("region=north").is_open


@pytest.mark.parametrize("value", ["Bern, Switzerland", "a=b", "c:\\d", "\\,", ",", "dry\\"])
def test_the_name_of_a_slice_selects_it_whatever_its_value(value: str) -> None:
    key = (("region", value), ("season", "dry"))
    selector = parse_selector(slice_name(key))
    assert selector.matches(key)
    assert str(selector) == slice_name(key)


@pytest.mark.parametrize("text", ["", "region,", ",region", "a,,b", "=north", "region,region=n"])
def test_a_selector_without_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="slice"):
        parse_selector(text)


def test_slice_name() -> None:
    assert slice_name(()) == "overall"
    assert slice_name((("region", "north"), ("season", "dry"))) == "region=north,season=dry"


def test_plain_names_are_columns_of_the_manifest() -> None:
    assert feature_of("region") == "slice/region"
    assert feature_of("image/brightness") == "image/brightness"
    assert feature_of("label") == "label"


@pytest.mark.parametrize(
    ("value", "name"),
    [(-1, "<0"), (0, "0..10"), (9.99, "0..10"), (10, ">=10"), (float("nan"), "nan")],
)
def test_bins_are_half_open(value: float, name: str) -> None:
    assert bin_name(value, (0, 10)) == name


def test_slice_values_are_text_whatever_the_feature_holds() -> None:
    features = {"slice/region": [b"north"], "slice/year": [2019], "image/brightness": [70.0]}
    values = slice_values(
        features, ("region", "year", "image/brightness", "absent"), {"image/brightness": (60, 80)}
    )
    assert values == {
        "region": ("north",),
        "year": ("2019",),
        "image/brightness": ("60..80",),
        "absent": (),
    }
