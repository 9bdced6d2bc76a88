"""Temperature scaling: the fit and the decision, against known answers."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from components.raster.image import ImageSpec
from components.raster.spatial.grouping import GROUPING_FILE, Grouping, grouping_to_json
from pipelines.local.temperature import temperature_line
from serving.contract.contract import Contract
from serving.tasks.graph import task_graph
from trainer.data.groups import groups_of
from trainer.tasks.multi_label import MultiLabel
from trainer.tasks.single_label import SingleLabel
from trainer.training.config import TrainConfig
from trainer.training.temperature import Temperature, fit_temperature

SINGLE = SingleLabel(("a", "b", "c"))
MULTI = MultiLabel(("a", "b", "c"), 0.5)


def answers(count: int, times: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `times` as large as those by which the truth was drawn."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(count, 3)) * 2
    drawn = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return logits * times, drawn


def fitted(logits: np.ndarray, truth: np.ndarray, groups: list[str | None]) -> Temperature:
    return fit_temperature(lambda value: SINGLE.log_losses(logits / value, truth), groups)


def test_an_overconfident_model_gets_its_temperature_back() -> None:
    found = fitted(*answers(4000, times=2.0), [None] * 4000)
    assert found.temperature == pytest.approx(2.0, rel=0.06)
    assert found.served
    assert found.interval is not None
    assert found.interval[0] < found.after - found.before < found.interval[1] < 0
    assert "; served" in temperature_line(vars(found))


def test_a_calibrated_model_and_one_with_few_groups_stay_as_they_are() -> None:
    calibrated = fitted(*answers(4000, times=1.0), [None] * 4000)
    assert (calibrated.temperature, calibrated.served) == (pytest.approx(1.0, rel=0.06), False)
    assert "may be chance" in temperature_line(vars(calibrated))
    few = fitted(*answers(4000, times=2.0), [str(place % 9) for place in range(4000)])
    assert (few.units, few.interval, few.served) == (9, None, False)


def test_a_split_without_errors_has_no_temperature() -> None:
    """Its log loss falls until every answer is certain, whatever the bootstrap's result."""
    logits, _ = answers(400, times=1.0)
    found = fitted(logits, logits.argmax(axis=1), [None] * 400)
    assert found.interval is not None
    assert found.interval[1] < 0
    assert not found.served
    assert "without errors" in temperature_line(vars(found))


def test_copies_within_groups_make_no_change_surer() -> None:
    """The groups of twenty equal examples are as many observations as groups."""
    logits, truth = answers(60, times=1.6)
    names: list[str | None] = [str(place) for place in range(60)]
    once = fitted(logits, truth, names)
    copies = fitted(np.tile(logits, (20, 1)), np.tile(truth, 20), names * 20)
    assert copies.interval == pytest.approx(once.interval)
    alone = fitted(np.tile(logits, (20, 1)), np.tile(truth, 20), [None] * 1200)
    assert once.interval is not None
    assert alone.interval is not None
    width = (once.interval[1] - once.interval[0]) / (alone.interval[1] - alone.interval[0])
    assert width == pytest.approx(20**0.5, rel=0.25)


def test_the_losses_are_those_of_the_served_probabilities() -> None:
    logits, truth = answers(50, times=1.0)
    several = np.eye(3)[truth]
    image = ImageSpec(height_px=8, width_px=8)
    for objective, targets in ((SINGLE, truth), (SINGLE, several), (MULTI, several)):
        contract = objective.contract(image).model_copy(update={"temperature": 1.7})
        graph = task_graph(contract.task)
        served = graph.answer(tf.constant(logits), tf.zeros(0), contract)["probabilities"].numpy()
        found = objective.log_losses(logits / 1.7, targets)
        if objective is SINGLE:
            expected = -np.log(served[np.arange(50), truth])
        else:
            expected = -np.log(np.where(several == 1, served, 1 - served)).mean(axis=1)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_contract_without_a_temperature_says_nothing_of_it() -> None:
    image = ImageSpec(height_px=8, width_px=8)
    assert "temperature" not in Contract(image=image, classes=("a",)).to_json()
    assert '"temperature": 1.5' in Contract(image=image, classes=("a",), temperature=1.5).to_json()


def test_other_tasks_have_nothing_to_scale() -> None:
    config = TrainConfig(temperature="auto")
    assert config.conflict("single_label") is None
    assert "regression has none" in (config.conflict("regression") or "")


def test_groups_are_read_in_the_order_of_the_examples(tmp_path: Path) -> None:
    folder = tmp_path / "Split-eval"
    folder.mkdir()
    keys = [f"{number}.png" for number in range(5)]
    with tf.io.TFRecordWriter(str(folder / "data")) as writer:
        for key in keys:
            value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[key.encode()]))
            features = tf.train.Features(feature={"image/key": value})
            writer.write(tf.train.Example(features=features).SerializeToString())
    grouping = Grouping(groups={"1.png": "farm", "3.png": "farm"})
    (tmp_path / GROUPING_FILE).write_text(grouping_to_json(grouping))
    assert groups_of([str(folder / "data")]) == (None, "farm", None, "farm", None)
