import numpy as np
import pytest
from PIL import Image

from tests.prediction import models


@pytest.fixture(scope="session")
def photographs_model(tmp_path_factory):
    """A folder of versions: number 3 is of photographs."""
    base = tmp_path_factory.mktemp("photographs")
    models.save_for_photographs(base / "3")
    return base


@pytest.fixture(scope="session")
def rasters_model(tmp_path_factory):
    base = tmp_path_factory.mktemp("rasters")
    models.save_for_rasters(base / "1")
    return base


@pytest.fixture
def archive(tmp_path):
    """Forty photographs without classes, some in folders that look like classes; one is broken."""
    folder = tmp_path / "archive"
    for number in range(40):
        path = folder / f"{'bright' if number % 2 else 'site'}/{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        level = 20 if number < 25 else 230
        Image.fromarray(np.full((10, 12, 3), level, np.uint8)).save(path)
    (folder / "loose.jpg").write_bytes(b"\xff\xd8\xff\xe0 no JPEG at all, whatever it is called")
    (folder / "notes.txt").write_text("no image")
    return folder
