import math

import pytest

from trainer.training.schedule import make_schedule


def rates(*arguments, steps):
    schedule = make_schedule(*arguments)
    return [float(schedule(step)) for step in range(steps)]


def test_a_warm_up_rises_evenly_to_the_peak_and_the_schedule_begins_there():
    found = rates("cosine", 0.8, 12, 4, steps=13)
    assert found[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    falling = [0.4 * (1 + math.cos(math.pi * step / 8)) for step in range(9)]
    assert found[4:] == pytest.approx(falling, abs=1e-7)


@pytest.mark.parametrize(
    ("name", "middle", "end"),
    [
        ("linear", 1 - 0.5 * (1 - 0.01), 0.01),
        ("exponential", 0.1, 0.01),
        ("cosine", 0.01 + 0.99 / 2, 0.01),
        ("constant", 1.0, 1.0),
    ],
)
def test_schedules_end_at_the_final_share_of_the_peak(name, middle, end):
    schedule = make_schedule(name, 1.0, 10, 0, 0.01)
    assert float(schedule(0)) == pytest.approx(1.0)
    assert float(schedule(5)) == pytest.approx(middle)
    assert float(schedule(10)) == pytest.approx(end)
