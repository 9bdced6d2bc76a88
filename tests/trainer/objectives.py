"""An objective for tests of networks in which the task does not matter."""

from trainer.tasks.single_label import SingleLabel


def of_classes(count: int) -> SingleLabel:
    """One of so many classes an image."""
    return SingleLabel(tuple(f"class {index}" for index in range(count)))
