import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from components.raster.errors import ConfigError
from pipelines.cli.look import command
from pipelines.config.tree import parse_config
from pipelines.local.augmented import look_augmented
from tests.trainer.augment.batches import tiles
from trainer.augment.augmentation import Augmentation
from trainer.augment.config import Augment
from trainer.augment.sheet import augmented_sheet


def test_a_sheet_has_a_row_for_each_example_and_its_views():
    batch = {"images": tiles(count=3), "targets": np.eye(3, dtype=np.float32)}
    layer = Augmentation(Augment(), ["a", "b", "c", "d"])
    sheet = np.asarray(
        augmented_sheet(batch, layer, ["x", "y", "z"], views=4, shown=(2, 1, 0), side_px=16)
    )
    # 16 px, and 6 px of margin; 14 px of text below.
    assert sheet.shape == (3 * (16 + 6 + 14) + 6, 5 * (16 + 6) + 6, 3)
    first = sheet[6:22]
    assert (first[:4, 6:14] == (255, 0, 255)).all()  # the corner without data
    views = [first[:, 6 + 22 * number : 22 + 22 * number] for number in range(5)]
    assert len({view.tobytes() for view in views}) > 1
    for view in views:  # turned, none of it lost
        assert (view == (255, 0, 255)).all(axis=-1).sum() == 32


@pytest.fixture
def tree(tmp_path):
    """A configuration of two photographs of a class each."""
    from PIL import Image

    for name, colour in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (tmp_path / "images" / name).mkdir(parents=True)
        Image.new("RGB", (20, 30), colour).save(tmp_path / "images" / name / "one.png")
    return {
        "name": "colours",
        "ingest": {"source": {"kind": "folders", "uri": "images"}},
        "push": {"model_dir": "models"},
    }


def test_the_configured_views_of_a_source_are_drawn(tree, tmp_path):
    sheet = np.asarray(look_augmented(parse_config(tree, str(tmp_path)), side_px=64))
    assert sheet.shape[1] == 8 * 70 + 6
    pictures = {tuple(sheet[6 + 32, 6 + 32 + 70 * number]) for number in range(8)}
    assert pictures <= {(200, 0, 0), (0, 0, 200)}  # turned, one colour stays what it is


def test_without_views_there_is_nothing_to_draw(tree, tmp_path):
    tree["train"] = {"model": {"kind": "small_cnn", "augment": False}}
    with pytest.raises(ConfigError, match=r"train\.model\.augment is false"):
        look_augmented(parse_config(tree, str(tmp_path)))


@pytest.mark.parametrize(
    ("train", "why"),
    [
        ({"model": {"kind": "small_cnn", "augment": {"zoom": {"least": 9}}}}, "least is 9"),
        ({"imbalance": {"class_weights": "balanced"}}, "'balanced' is not accepted"),
    ],
)
def test_what_cannot_be_is_reported_with_its_key(tree, tmp_path, train, why):
    with pytest.raises(ConfigError, match=why):
        parse_config({**tree, "train": train}, str(tmp_path))


def test_the_command_draws_views_and_not_only_examples(tree, tmp_path):
    (tmp_path / "skymill.yaml").write_text(yaml.safe_dump(tree))
    picture = tmp_path / "look.png"
    arguments = ["-c", str(tmp_path / "skymill.yaml"), "-o", str(picture), "--side", "64"]
    message = CliRunner().invoke(command, [*arguments, "--augmented"], catch_exceptions=False)
    assert f"{8 * 70 + 6} x " in message.output
    assert f"{2 * 70 + 6} x " in CliRunner().invoke(command, arguments).output
