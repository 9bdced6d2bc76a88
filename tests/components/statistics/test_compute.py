"""Statistics equal numpy's, stock TFDV's, and each other's wherever they are computed."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.node.beam import make_pipeline
from components.node.records import shards
from components.raster.errors import DataError
from components.statistics import feature_stats
from components.statistics.compute import Split, compute_statistics, in_memory
from components.statistics.config import StatisticsConfig

IMAGE = b"\xff\xd8 not looked at " + bytes(500)


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows as ingest writes them, with what real data has: gaps, zeros, NaN, rare features."""
    random = np.random.default_rng(seed)
    made: list[dict[str, Any]] = []
    for index in range(count):
        row: dict[str, Any] = {
            "image/encoded": IMAGE,
            "image/key": f"a/{index}.jpg",
            "image/sha256": f"{index:064x}",
            "image/height": 64,
            "label": int(random.integers(3)),
            "label/text": ["Forest", "River", "Sea"][int(random.integers(3))],
            "image/brightness": float(random.normal(120, 20)),
            "image/sharpness": 0.0 if index % 7 == 0 else float(random.gamma(2)),
        }
        if index % 5:
            row["slice/region"] = f"r{int(random.integers(4))}"
        if index % 11 == 3:
            row["image/sharpness"] = math.nan
        if index == count // 2:
            row["slice/rare"] = 7
        if index % 13 == 4:
            row["slice/gap"] = None
        made.append(row)
    return made


def on_runner() -> beam.Pipeline:
    return make_pipeline(["--runner=FnApiRunner"])


def on_beam(paths: Sequence[str], output: Path) -> statistics_pb2.DatasetFeatureStatisticsList:
    split = Split("any", tuple(paths), str(output / "FeatureStats.pb"))
    config = StatisticsConfig(in_memory_max_bytes=0)
    assert compute_statistics([split], config, on_runner) == {"any": "beam"}
    return feature_stats.read(split.output)


@pytest.mark.parametrize(("count", "files"), [(1, 1), (400, 1), (400, 5), (3, 4), (6000, 3)])
def test_memory_and_beam_give_the_same_bytes(
    tmp_path: Path, write_examples: Any, count: int, files: int
) -> None:
    paths = write_examples(tmp_path / "Split-train", rows(count), files)

    memory = in_memory(paths).SerializeToString(deterministic=True)

    assert memory == on_beam(paths, tmp_path).SerializeToString(deterministic=True)


def test_an_empty_split_counts_zero_examples_in_either_place(
    tmp_path: Path, write_examples: Any
) -> None:
    empty_file = write_examples(tmp_path / "Split-eval", [], 1)

    for paths in ((), empty_file):
        (dataset,) = in_memory(paths).datasets
        assert (dataset.num_examples, len(dataset.features)) == (0, 0)
    assert compute_statistics(
        [Split("eval", empty_file, str(tmp_path / "FeatureStats.pb"))],
        StatisticsConfig(in_memory_max_bytes=0),
        on_runner,
    ) == {"eval": "memory"}, "nothing is never larger than a bound"


def test_numbers_are_numpys(tmp_path: Path, write_examples: Any) -> None:
    data = rows(500)
    view = _view(in_memory(write_examples(tmp_path, data, 3)))

    values = np.array([row["image/brightness"] for row in data], np.float32).astype(np.float64)
    brightness = view.get_feature("image/brightness").numeric_statistics()
    assert brightness.mean == pytest.approx(values.mean(), rel=1e-12)
    assert brightness.std_dev == pytest.approx(values.std(), rel=1e-12)
    assert (brightness.min, brightness.max) == (values.min(), values.max())
    rank = (values < brightness.median).mean()
    assert rank == pytest.approx(0.5, abs=0.01)
    bars = brightness.histograms[0].buckets
    edges = [bars[0].low_value, *(bar.high_value for bar in bars)]
    expected, _ = np.histogram(values, edges)
    assert [bar.sample_count for bar in bars] == pytest.approx(expected, abs=0.01 * len(values))


def test_gaps_zeros_nan_and_categories_are_counted_exactly(
    tmp_path: Path, write_examples: Any
) -> None:
    data = rows(500)
    view = _view(in_memory(write_examples(tmp_path, data, 3)))

    region = view.get_feature("slice/region")
    assert region.common_statistics().num_missing == 100
    seen = [row["slice/region"] for row in data if "slice/region" in row]
    ranks = {b.label: b.sample_count for b in region.string_statistics().rank_histogram.buckets}
    assert ranks == {name: seen.count(name) for name in set(seen)}
    sharpness = view.get_feature("image/sharpness").numeric_statistics()
    assert sharpness.num_zeros == sum(row["image/sharpness"] == 0 for row in data)
    nan = sum(math.isnan(row["image/sharpness"]) for row in data)
    assert sharpness.histograms[0].num_nan == nan
    assert view.get_feature("slice/rare").common_statistics().num_non_missing == 1


def test_neither_images_nor_keys_nor_excluded_features_are_counted(
    tmp_path: Path, write_examples: Any
) -> None:
    data = [{**row, "mask/encoded": IMAGE} for row in rows(20)]

    view = _view(in_memory(write_examples(tmp_path, data, 1), exclude=("label",)))

    names = {path.steps()[0] for path in view.list_features()}
    assert names == {
        "image/height",
        "label/text",
        "image/brightness",
        "image/sharpness",
        "slice/region",
        "slice/rare",
    }


def test_agrees_with_stock_tfdv_over_the_same_features(tmp_path: Path, write_examples: Any) -> None:
    paths = write_examples(tmp_path, rows(800), 2)
    ours = _view(in_memory(paths))
    stock = _view(tfdv.generate_statistics_from_tfrecord(str(tmp_path / "data-*")))

    assert len(list(ours.list_features())) == 7
    for path in ours.list_features():
        mine, theirs = ours.get_feature(path).proto(), stock.get_feature(path).proto()
        for message in (mine, theirs):
            _drop_sketches(message)
        assert mine == theirs, path


def test_records_that_are_no_examples_are_named(tmp_path: Path, write_examples: Any) -> None:
    mixed = write_examples(tmp_path, [{"label": 1}, {"label": "one"}], 1)
    with pytest.raises(DataError, match="one type per feature"):
        in_memory(mixed)


def test_two_types_of_a_feature_are_found_far_apart(tmp_path: Path, write_examples: Any) -> None:
    apart = write_examples(tmp_path, [{"label": 1}] * 1200 + [{"label": 1.5}], 1)
    with pytest.raises(DataError, match=r"one type per feature.*label"):
        in_memory(apart)


def test_examples_without_a_counted_feature_are_counted(
    tmp_path: Path, write_examples: Any
) -> None:
    (dataset,) = in_memory(write_examples(tmp_path, [{"image/encoded": IMAGE}] * 1200, 1)).datasets
    assert (dataset.num_examples, len(dataset.features)) == (1200, 0)


def test_shards_are_listed_in_order_without_hidden_files(
    tmp_path: Path, write_examples: Any
) -> None:
    paths = write_examples(tmp_path, rows(4), 2)
    (tmp_path / ".data-00000.crc").touch()
    assert shards(str(tmp_path)) == paths
    assert shards(str(tmp_path / "absent")) == ()


def _view(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> Any:
    return tfdv.DatasetListView(statistics).get_default_slice_or_die()


def _drop_sketches(feature: statistics_pb2.FeatureNameStatistics) -> None:
    """Keep what is exact; round what floating-point addition leaves to the order of adding."""
    if feature.WhichOneof("stats") != "num_stats":
        return
    numbers = feature.num_stats
    numbers.mean, numbers.std_dev = float(f"{numbers.mean:.9e}"), float(f"{numbers.std_dev:.9e}")
    numbers.ClearField("median")
    numbers.ClearField("histograms")
