"""A model's statement of the images that it takes."""

import json

import pytest

from serving.contract.needs import ModelNeeds, TrainedTiles

TILES = TrainedTiles((64, 128), (64, 64), (8, 12))


@pytest.mark.parametrize(
    ("height_px", "width_px", "gsd_m", "why"),
    [
        (64, 64, 10, ""),
        (43, 96, None, ""),
        (192, 64, 18, ""),
        (193, 64, 10, "it has 193 x 64 pixels, and the model learnt from tiles of 64 to 128 x 64"),
        (64, 42, 10, "it has 64 x 42 pixels"),
        (
            64,
            64,
            18.1,
            "its pixels are 18.1 m apart, and the model learnt from pixels of 8 to 12 m",
        ),
        (64, 64, 5.3, "its pixels are 5.3 m apart"),
    ],
)
def test_half_as_large_again_is_the_most_that_is_near(height_px, width_px, gsd_m, why):
    assert TILES.differ_from(height_px, width_px, gsd_m).startswith(why)
    assert bool(TILES.differ_from(height_px, width_px, gsd_m)) == bool(why)


def test_a_model_of_tiles_without_a_map_asks_for_no_distance():
    assert TrainedTiles((64, 64), (64, 64)).differ_from(64, 64, 0.1) == ""


def contract(bands, **more):
    image = {"height_px": 64, "width_px": 32, "fit": "pad", "bands": bands, "a_new_key": 1}
    return json.dumps({"image": image, "task": "single_label", **more})


def test_a_contract_that_does_not_tell_its_tiles_is_of_those_that_it_sees():
    assert ModelNeeds.of_contract(contract(["red"])).tiles == TrainedTiles((64, 64), (32, 32))
    stated = {"height_px": [9, 9], "width_px": [8, 8], "gsd_m": None, "a_new_key": 1}
    assert ModelNeeds.of_contract(contract(["red"], tiles=stated)).tiles == TrainedTiles(
        (9, 9), (8, 8), None
    )


def test_a_model_of_photographs_takes_any_size():
    needs = ModelNeeds.of_contract(contract(None))
    assert (needs.bands, needs.tiles, needs.fit) == ((), None, "pad")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"image": 3}', '{"image": {}}'])
def test_text_that_is_not_a_contract_is_refused(text):
    with pytest.raises(ValueError, match="not a contract|Expecting value"):
        ModelNeeds.of_contract(text)
