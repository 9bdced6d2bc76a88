"""What the tests of networks learn, where it does not matter what."""

from trainer.tasks.single_label import SingleLabel


def of_classes(count: int) -> SingleLabel:
    """One of so many classes an image."""
    return SingleLabel(tuple(f"class {index}" for index in range(count)))
