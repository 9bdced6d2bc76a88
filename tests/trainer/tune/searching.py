"""A small search on toy images: `python -m tests.trainer.tune.searching FOLDER`."""

import sys
from pathlib import Path

from components.raster.image import ImageSpec
from tests.trainer.conftest import CLASSES, SIDE_PX
from trainer.training.config import SmallCnn, TrainConfig
from trainer.training.splits import Splits
from trainer.tune.config import TuneConfig
from trainer.tune.search import Search
from trainer.tune.tuner import ChiefTuner

EXAMPLES = "examples"


def search_of(folder: Path, **tune: object) -> Search:
    """A search over a tiny network, on the examples in a folder."""
    return Search(
        splits=Splits(
            train=(str(folder / EXAMPLES / "Split-train" / "*"),),
            evaluation=(str(folder / EXAMPLES / "Split-eval" / "*"),),
            classes=CLASSES,
        ),
        image=ImageSpec(height_px=SIDE_PX, width_px=SIDE_PX),
        train=TrainConfig(
            model=SmallCnn(filters=(4,), augment=False), batch_size=8, epochs=4, seed=3
        ),
        tune=TuneConfig.model_validate(tune),
    )


def long_search(folder: Path) -> Search:
    """Two workers, trials of many short epochs."""
    space = {"learning_rate": {"min": 1e-3, "max": 1e-2}}
    stopping = {"patience": 1000}
    return search_of(folder, space=space, trials=4, epochs=15, parallel=2, early_stopping=stopping)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    ChiefTuner(long_search(place), str(place / "tuning")).search()
