"""Protocol of a target, which finds the truth of a tile from labels for one task."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from components.raster.labels.shapes import PlacedShapes
from components.raster.labels.targets import MaskPixels
from components.raster.task import Task
from components.raster.tiles.key import Window
from components.raster.tiles.valid_mask import Mask
from components.raster.truth.value import Truth


class Target(Protocol):
    """Truth of a tile, with the rule that finds it.

    Attributes:
        task: of the examples.
        from_masks: the classes of pixels determine it.
        from_boxes: boxes with classes determine it.
        reads_numbers: the numbers of shapes determine it.
        background: class of unlabelled area, or None.
    """

    task: ClassVar[Task]
    from_masks: ClassVar[bool]

    @property
    def from_boxes(self) -> bool: ...
    @property
    def reads_numbers(self) -> bool: ...
    @property
    def background(self) -> str | None: ...

    def of_shapes(
        self, shapes: PlacedShapes, window: Window, valid: Mask, classes: Sequence[str]
    ) -> Truth | None:
        """Returns the truth of a tile from shapes on its scene; None without one.

        Args:
            shapes: in pixels of the scene.
            window: the tile.
            valid: mask (H, W) of its valid pixels.
            classes: class names in the order of their indices.
        """
        ...

    def of_mask(self, mask: MaskPixels, classes: Sequence[str]) -> Truth | None:
        """Returns the truth of a tile from its mask (H, W); None without one."""
        ...
