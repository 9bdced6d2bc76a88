"""An objective for tests of networks in which the task does not matter."""

from trainer.tasks.single_label import SingleLabel


def of_classes(count: int) -> SingleLabel:
    """Returns the objective of one class per image out of `count`."""
    return SingleLabel(tuple(f"class {index}" for index in range(count)))
