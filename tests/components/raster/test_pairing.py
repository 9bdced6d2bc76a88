"""Pairs of images and truth, worked out by hand."""

import itertools
import random

import pytest

from components.raster.pairing import Name, Pairing, file_name, pair, whole_name


def paired(images: list[str], truths: list[str], of_files: bool = False) -> Pairing:
    names = [[file_name(image)] for image in images]
    return pair(names, list(map(file_name, truths)), of_files=of_files)


@pytest.mark.parametrize(
    ("images", "truths", "expected"),
    [
        (["2024/o.tif", "2025/o.tif"], ["2025/o.png", "2024/o.png"], (1, 0)),
        (["2024/a.tif", "2025/b.tif"], ["b.png", "a.png"], (1, 0)),  # no folders on one side
        (["a.tif", "b.tif"], ["x/b.png", "y/a.png"], (1, 0)),
        (["s/a.jpg", "t/a.jpg"], ["all/t/a.png", "all/s/a.png"], (1, 0)),  # one folder more
        (["all/s/a.jpg", "all/t/a.jpg"], ["t/a.png", "s/a.png"], (1, 0)),
        (["x/a.jpg"], ["y/a.png"], (0,)),  # no other is called so
        (["a.tif", "s/a.tif"], ["a.png", "s/a.png"], (0, 1)),
        (["a.tif", "s/a.tif"], ["a.png"], (0, None)),  # the path decides, and nothing is left
        (["./a.tif"], ["a.png"], (0,)),
        (["caf\u00e9.jpg"], ["cafe\u0301.png"], (0,)),  # one text in two forms
        (["v1.2.tif"], ["v1.png"], (None,)),
        (["a.tif"], [], (None,)),
    ],
)
def test_a_truth_belongs_to_the_image_of_its_path_or_else_of_its_name(images, truths, expected):
    found = paired(images, truths)
    assert found.truth_of == expected
    assert not found.disputes


@pytest.mark.parametrize(
    ("images", "truths", "expected", "disputes"),
    [
        (["2024/o.tif", "2025/o.tif"], ["o.png"], (None, None), {0, 1}),
        (["2024/o.tif", "2025/o.tif"], ["o.png", "2024/o.png"], (1, None), {1}),
        (["a.jpg"], ["a.png", "a.tif"], (None,), {0}),
        (["a.jpg"], ["x/a.png", "y/a.png"], (None,), {0}),
        (["a.jpg", "a.png", "b.jpg"], ["a.png", "b.png"], (None, None, 1), {0, 1}),
        (["1/o.tif", "2/o.tif"], ["3/o.png"], (None, None), {0, 1}),
        (["1/o.tif", "2/o.tif"], ["2/o.png", "3/o.png"], (None, 0), {0}),
    ],
)
def test_what_is_ambiguous_belongs_to_nothing(images, truths, expected, disputes):
    found = paired(images, truths)
    assert found.truth_of == expected
    assert found.disputes.keys() == disputes
    for image, dispute in found.disputes.items():
        message = dispute.explain(images, truths)
        assert images[image] in message
        assert any(truth in message for truth in truths)


def test_a_file_of_labels_tells_files_of_two_suffixes_apart():
    found = paired(["a.jpg", "a.png"], ["a.png"], of_files=True)
    assert (found.truth_of, found.disputes) == ((None, 0), {})
    found = paired(["a.jpg", "a.png"], ["a.tif"], of_files=True)
    assert found.truth_of == (None, None)
    assert found.disputed == {0}
    assert paired(["a.png"], ["a.jpg", "a.tif"], of_files=True).disputed == {0, 1}
    windows = ["C:\\photos\\s\\a.jpg", "C:\\photos\\t\\a.jpg"]
    assert paired(["t/a.jpg", "s/a.jpg"], windows, of_files=True).truth_of == (1, 0)


def test_an_image_with_several_names_has_one_truth():
    scene = [whole_name("2024.07"), file_name("2024.07/B02.tif"), file_name("2024.07/B03.tif")]
    for truth in ("2024.07.png", "2024.07/B03.png", "B02.png"):
        assert pair([scene], [file_name(truth)]).truth_of == (0,)
    both = pair([scene], [file_name("2024.07.png"), file_name("2024.07/B02.png")])
    assert both.truth_of == (None,)
    assert both.disputed == {0, 1}


def test_many_of_one_name_are_reported_in_a_few_words():
    images = [f"{number}/o.tif" for number in range(50)]
    message = paired(images, ["o.png"]).disputes[49].explain(images, ["o.png"])
    assert "o.png could belong to 0/o.tif, 1/o.tif, 2/o.tif and others." in message


def test_order_does_not_matter_and_nothing_is_given_twice():
    draw = random.Random(3)
    paths = ["/".join(parts) for n in (1, 2, 3) for parts in itertools.product("ab", repeat=n)]
    for _ in range(200):
        images, truths = (draw.sample(paths, draw.randrange(1, 9)) for _ in range(2))
        found = paired([f"{it}.tif" for it in images], [f"{it}.png" for it in truths])
        used = [truth for truth in found.truth_of if truth is not None]
        assert len(used) == len(set(used)), "no truth belongs to two images"
        same = {images.index(it): truths.index(it) for it in {*images} & {*truths}}
        assert same.items() <= dict(enumerate(found.truth_of)).items()
        again = paired([f"{it}.tif" for it in images[::-1]], [f"{it}.png" for it in truths])
        assert again.truth_of == found.truth_of[::-1]


def test_a_path_of_nothing_is_no_name():
    assert file_name("./") == whole_name("") == Name(())
    assert pair([[Name(())]], [Name(())]).truth_of == (None,)
