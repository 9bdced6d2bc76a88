import json
import subprocess
import sys

import numpy as np
import pytest

from components.raster.errors import ConfigError
from trainer.distribution.config import StrategyName
from trainer.distribution.strategy import check_batch, local_devices, make_strategy


@pytest.fixture(scope="module")
def report(repository):
    """The results of two_devices.py, in a process with two logical CPUs."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.trainer.two_devices"],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_mirrored_shares_the_global_batch(report):
    assert len(report["devices"]) == 2
    one, two = report["one_device"], report["mirrored"]
    assert (one["replicas"], two["replicas"]) == (1, 2)
    assert [[len(part) for part in parts] for parts in two["shares"]] == [[4, 4], [4, 4]]
    assert [first + second for first, second in two["shares"]] == [all_ for [all_] in one["shares"]]
    rows = [row for parts in two["shares"] for part in parts for row in part]
    assert len(rows) == len(set(rows)) == 16


@pytest.mark.slow
def test_mirrored_reduces_the_loss_as_one_device_does(report):
    assert report["mirrored"]["loss"] == pytest.approx(report["one_device"]["loss"], rel=1e-4)
    expected = report["one_device"]["val_loss"]
    assert report["mirrored"]["val_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_mirrored_ends_with_the_weights_of_one_device(report):
    one, two = (np.array(report[name]["weights"]) for name in ("one_device", "mirrored"))
    np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_batches_that_make_one_update_come_to_the_same_on_several_devices(report):
    for name in ("loss", "val_loss"):
        assert report["in_parts"][name] == pytest.approx(report["one_device"][name], rel=1e-4)
    one, two = (np.array(report[name]["weights"]) for name in ("one_device", "in_parts"))
    np.testing.assert_allclose(two, one, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_random_views_balance_and_averages_are_those_of_one_device(report):
    one, two = report["viewed"]
    for name in ("loss", "val_loss"):
        assert two[name] == pytest.approx(one[name], rel=1e-4)
    np.testing.assert_allclose(two["weights"], one["weights"], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_a_mirrored_model_is_exported_for_one_device(report):
    for name in ("one_device", "mirrored", "default_model"):
        assert sum(report[name]["probabilities"]) == pytest.approx(1)
    expected = report["one_device"]["probabilities"]
    assert report["mirrored"]["probabilities"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_mirrored_trains_with_every_layer_and_a_last_batch_of_one(report):
    losses = report["default_model"]["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_mirrored_replicas_see_the_views_of_one_device(report):
    assert report["views_are_alike"]


@pytest.mark.slow
def test_a_number_that_is_none_is_found_in_any_replica(report):
    one, mirrored = report["bad_rows"]
    assert "epoch 1, batch 1; example " in one
    assert mirrored == one


@pytest.mark.slow
def test_auto_does_not_mirror_over_cpus(report):
    assert report["auto"] == 1


def test_mirrored_needs_two_devices():
    with pytest.raises(ConfigError, match="has only CPU:0; use strategy: auto"):
        make_strategy(StrategyName.MIRRORED, ["CPU:0"])


def test_one_device_is_the_first():
    strategy = make_strategy(StrategyName.ONE_DEVICE, local_devices())
    assert strategy.num_replicas_in_sync == 1


def test_a_batch_that_replicas_cannot_share_is_refused():
    class TwoReplicas:
        num_replicas_in_sync = 2

    with pytest.raises(ConfigError, match=r"batch_size is 7.*multiple of 2"):
        check_batch(7, TwoReplicas())
