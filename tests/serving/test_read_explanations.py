"""Explanations in an answer of a server that may be any."""

import io

import numpy as np
import pytest
from PIL import Image

from components.explanation.heat_maps import HeatMaps
from components.raster.errors import DataError
from serving.client.explanation import read_explanations
from serving.tasks.registry import AnswerError


def png(value: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.full((2, 2), value, np.uint16)).save(data, "PNG")
    return data.getvalue()


def answer(**changed: np.ndarray) -> dict[str, np.ndarray]:
    numbers = np.array([0.5, 0.25], np.float32)
    return {
        "explained": np.array([b"forest", b"field"], object),
        "score": numbers,
        "baseline_score": numbers,
        "attribution_sum": numbers,
        "grad_cam_bytes": np.array([png(0), png(65535)], object),
        **changed,
    }


def test_each_image_has_its_explanation() -> None:
    forest, field = read_explanations(answer(), 2, 3)
    assert (forest.explained, field.explained, field.score) == ("forest", "field", 0.25)
    assert forest.heats["grad_cam"].max() == 0
    assert field.heats["grad_cam"].min() == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"score": np.zeros(1, np.float32)}, r"explains \[1, 2\] images, and 2 were sent"),
        ({"grad_cam_bytes": np.array([b"", b"no picture"], object)}, "explanation cannot be read"),
        ({"explained": np.zeros(2)}, "explanation cannot be read"),
    ],
)
def test_an_answer_that_explains_nothing_is_refused(changed, said) -> None:
    with pytest.raises(AnswerError, match=said):
        read_explanations(answer(**changed), 2, 3)


@pytest.mark.parametrize("name", ["score", "baseline_score", "attribution_sum"])
def test_heat_of_numbers_that_overflowed_is_not_shown(name: str) -> None:
    """As of a raster whose nodata is the least float32 and is not declared."""
    numbers = np.array([0.5, np.inf], np.float32)
    whole, overflowed = read_explanations(answer(**{name: numbers}), 2, 3)
    assert HeatMaps.of_graph(whole).explained == "forest"
    with pytest.raises(DataError, match="near the limit of float32"):
        HeatMaps.of_graph(overflowed)


def test_heat_that_overflowed_is_not_shown() -> None:
    with pytest.raises(DataError, match="near the limit of float32"):
        HeatMaps("forest", 0.5, {"occlusion": np.array([[0, np.nan]], np.float32)})


def test_an_answer_of_another_signature_is_refused() -> None:
    with pytest.raises(AnswerError, match="it has no score"):
        read_explanations({k: v for k, v in answer().items() if k != "score"}, 2, 3)
