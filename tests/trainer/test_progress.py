from trainer.training.config import EarlyStopping
from trainer.training.progress import Epoch, TrainingProgress


def progress(monitor, *values):
    """A progress whose epochs have the given value of both monitored metrics."""
    rows = (
        Epoch(at, 1.0, value, {"accuracy": 0.5, "val_accuracy": value}, 0.1, 2.0)
        for at, value in enumerate(values, 1)
    )
    return TrainingProgress(monitor, tuple(rows))


def test_the_best_epoch_has_the_lowest_loss_or_the_highest_accuracy():
    assert progress("val_loss", 0.5, 0.2, 0.9).best.epoch == 2
    assert progress("val_accuracy", 0.5, 0.2, 0.9).best.epoch == 3


def test_of_equally_good_epochs_the_first_is_the_best():
    assert progress("val_loss", 0.5, 0.2, 0.2).best.epoch == 2


def test_patience_counts_the_epochs_since_the_best():
    stopping = EarlyStopping(patience=2)
    assert not progress("val_loss", 0.5, 0.2, 0.3).exhausted(stopping)
    assert progress("val_loss", 0.5, 0.2, 0.3, 0.2).exhausted(stopping)
    assert not progress("val_loss", 0.5, 0.6, 0.7, 0.8).exhausted(None)
    assert not TrainingProgress().exhausted(stopping)


def test_json_and_back():
    before = progress("val_accuracy", 0.5, 0.25)
    assert TrainingProgress.from_json(before.to_json()) == before
