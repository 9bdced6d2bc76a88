"""A ratio of a benchmark states its spread."""

import doctest
import time

import pytest

from benchmarks import sides
from benchmarks.sides import Cost, Rounds, cost_of, machine_load, ratio_of, take_turns


def test_the_example_runs() -> None:
    assert doctest.testmod(sides).failed == 0


def test_a_common_drift_of_the_machine_does_not_move_a_ratio() -> None:
    rounds = Rounds(("slow", "fast"))
    for speed in (1.0, 3.0, 0.5, 7.0, 1.5):
        rounds.add({"slow": Cost(4 * speed, 1), "fast": Cost(2 * speed, 1)})
    assert rounds.ratio("slow", "fast").value == 2
    assert str(rounds.ratio("slow", "fast")) == "2.00 (2.00 to 2.00)"
    assert rounds.typical("fast") == Cost(3, 1)


@pytest.mark.parametrize(
    ("values", "is_measured"),
    [
        ([1.0, 1.02, 0.98, 1.01], True),  # near one, within a tenth
        ([0.7, 1.5, 0.8, 1.4], False),  # may be faster or slower
        ([5.0, 9.0, 4.0, 8.0], True),  # clearly more, whatever the number
    ],
)
def test_a_ratio_that_varies_by_more_than_it_states_is_refused(
    values: list[float], is_measured: bool
) -> None:
    found = ratio_of(values)
    assert found.is_measured == is_measured
    assert ("not measured" in str(found)) != is_measured


def test_sides_take_turns_and_both_costs_are_measured() -> None:
    order: list[str] = []

    def work(name: str, seconds: float) -> None:
        order.append(name)
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    turns = {"one": lambda: work("one", 0.02), "three": lambda: work("three", 0.06)}
    rounds = take_turns(turns, 4)
    assert order == ["one", "three", "three", "one", "one", "three", "three", "one"]
    assert rounds.ratio("three", "one", "cpu").value == pytest.approx(3, rel=0.2)
    assert cost_of(lambda: time.sleep(0.1)).wall >= 0.1


def test_the_load_of_the_machine_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with machine_load():
        pass
    assert "cores" in capsys.readouterr().out
