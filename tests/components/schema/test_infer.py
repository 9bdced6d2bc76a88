"""An inferred schema accepts its own data, and refuses impossible pixel values."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow_data_validation as tfdv

from components.raster.errors import DataError
from components.schema.infer import infer

StatisticsOf = Callable[[Sequence[Any]], Any]

CLASSES = ("Forest", "River", "Sea")


def rows(count: int = 60) -> list[dict[str, Any]]:
    random = np.random.default_rng(1)
    return [
        {
            "image/format": "jpeg",
            "image/height": 64,
            "image/width": 64,
            "image/channels": 3,
            "image/brightness": float(random.uniform(20, 200)),
            "image/sharpness": float(random.uniform(0, 90)),
            "image/mean_0": float(random.uniform(20, 200)),
            "image/stddev_0": float(random.uniform(1, 60)),
            "label": index % 3,
            "label/text": CLASSES[index % 3],
            "slice/region": f"region {index % 4}",
            "slice/cloud": float(index % 7),
        }
        for index in range(count)
    ]


def test_accepts_the_data_it_was_inferred_from(statistics_of: StatisticsOf) -> None:
    statistics = statistics_of(rows())
    anomalies = tfdv.validate_statistics(statistics, infer(statistics))
    assert dict(anomalies.anomaly_info) == {}


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        ("image/brightness", 255.5),
        ("image/brightness", -0.5),
        ("image/brightness", float("nan")),
        ("image/mean_0", 300.0),
        ("image/stddev_0", 128.0),
        ("image/sharpness", -1.0),
        ("image/format", "gif"),
        ("image/channels", 5),
        ("image/height", 0),
        ("label", 3),
        ("label", -1),
        ("label/text", "Lake"),
        ("label/text", None),
        ("image/width", None),
        ("slice/region", 7),
    ],
)
def test_one_wrong_example_is_an_anomaly_of_that_feature(
    statistics_of: StatisticsOf, feature: str, value: Any
) -> None:
    schema = infer(statistics_of(rows()))
    wrong = rows()
    if value is None:
        del wrong[7][feature]
    elif feature == "slice/region":
        wrong = [{**row, feature: value} for row in wrong]
    else:
        wrong[7][feature] = value

    anomalies = tfdv.validate_statistics(statistics_of(wrong), schema)

    assert set(anomalies.anomaly_info) == {feature}


def test_new_slice_values_and_png_are_no_anomalies(statistics_of: StatisticsOf) -> None:
    schema = infer(statistics_of(rows()))
    changed = [{**row, "slice/region": "elsewhere", "image/format": "png"} for row in rows()]
    assert not tfdv.validate_statistics(statistics_of(changed), schema).anomaly_info


def test_known_classes_take_precedence_over_those_seen(statistics_of: StatisticsOf) -> None:
    schema = infer(statistics_of(rows()), classes=("Sea", "River", "Forest", "Lake"))

    (domain,) = (d for d in schema.string_domain if d.name == "label/text")
    assert list(domain.value) == ["Forest", "Lake", "River", "Sea"]
    assert tfdv.get_feature(schema, "label").int_domain.max == 3


def test_several_labels_are_limited_in_kind_and_not_in_number(statistics_of: StatisticsOf) -> None:
    several = [{"labels": [0, 1], "labels/text": ["Field", "Road"]}, {"image/height": 64}] * 30
    schema = infer(statistics_of(several))

    fewer = [{"labels": [1], "labels/text": ["Road"], "image/height": 64}] * 30
    assert not tfdv.validate_statistics(statistics_of(fewer), schema).anomaly_info
    wrong = [{"labels": [2], "labels/text": ["Lake"], "image/height": 64}] * 30
    anomalies = tfdv.validate_statistics(statistics_of(wrong), schema).anomaly_info
    assert set(anomalies) == {"labels", "labels/text"}


def test_nothing_can_be_inferred_from_nothing(statistics_of: StatisticsOf) -> None:
    with pytest.raises(DataError, match="no examples"):
        infer(statistics_of([]))


def tiles(count: int = 60) -> list[dict[str, Any]]:
    random = np.random.default_rng(2)
    return [
        {
            "image/format": "tile",
            "image/channels": 13,
            "image/mean_B08": float(random.uniform(2_000, 4_000)),
            "image/stddev_B08": float(random.uniform(200, 900)),
            "image/valid_fraction": 1.0,
            "image/sensor": ["LANDSAT_8"] if index % 2 else [],
            "object/label/text": CLASSES[index % 3],
        }
        for index in range(count)
    ]


def test_tiles_have_any_values_and_may_lack_a_sensor(statistics_of: StatisticsOf) -> None:
    schema = infer(statistics_of(tiles()))
    others = [row | {"image/mean_B08": -31_000.0, "image/sensor": "S2"} for row in tiles()]
    for found in (tiles(), others):
        anomalies = tfdv.validate_statistics(statistics_of(found), schema)
        assert dict(anomalies.anomaly_info) == {}
    bad = [row | {"image/valid_fraction": 1.5, "image/format": "png"} for row in tiles()]
    anomalies = tfdv.validate_statistics(statistics_of(bad), schema)
    assert set(anomalies.anomaly_info) == {"image/valid_fraction", "image/format"}
