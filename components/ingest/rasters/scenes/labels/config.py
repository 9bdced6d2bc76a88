"""Configuration of the labels of scenes, and of the truth of tiles from them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.ingest.records.source import InputPath
from components.raster.frozen import Frozen
from components.raster.labels.boxes import BoxFile
from components.raster.labels.class_raster import ClassLegend
from components.raster.labels.vectors import VectorLabels
from components.raster.location import Location
from components.raster.truth.detection import BoxesTarget
from components.raster.truth.multi_label import ClassesTarget
from components.raster.truth.regression import NumberTarget
from components.raster.truth.segmentation import MaskTarget
from components.raster.truth.single_label import ClassTarget

Undeclared = Literal["stop", "ignore"]

Target = Annotated[
    ClassTarget | ClassesTarget | NumberTarget | BoxesTarget | MaskTarget,
    Field(discriminator="to"),
]


class ShapeLabels(VectorLabels):
    """Labels as polygons, boxes or points."""

    kind: Literal["shapes"] = "shapes"
    outside: Literal["reject", "ignore"] = Field(
        default="reject", description="what to do with labels outside all scenes"
    )

    @property
    def input_path(self) -> InputPath:
        """The file of shapes."""
        return InputPath("labels.path", self.path, "file or folder")

    def require_truth_for(self, target: Target, warped: bool) -> None:
        """Raises ValueError if the labels cannot determine a target."""
        if target.reads_numbers and self.number_field is None:
            raise ValueError("target number needs labels.number_field, or the rule count")


class BoxLabels(BoxFile):
    """Labels as boxes in pixels of the scenes' own files."""

    kind: Literal["boxes"] = "boxes"

    @property
    def input_path(self) -> InputPath:
        """The file or folder of boxes."""
        return InputPath("labels.path", self.path, "file or folder")

    def require_truth_for(self, target: Target, warped: bool) -> None:
        """Raises ValueError if the labels cannot determine a target."""
        if not target.from_boxes:
            raise ValueError(f"target {target.to} cannot be derived from labels of kind boxes")
        if warped:
            raise ValueError("boxes in pixels cannot be warped; leave warp out")


class ClassRasterLabels(Frozen):
    """Labels in one raster of classes, on any grid."""

    kind: Literal["class_raster"] = "class_raster"
    path: Location = Field(description="The raster of classes.")
    band: int = Field(default=1, ge=1, description="Band of the raster, from 1.")
    legend: ClassLegend
    undeclared: Undeclared = Field(
        default="stop", description="what to do with values that the legend lacks"
    )

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        if not self.legend.values:
            raise ValueError("a class raster needs legend.values")
        return self

    @property
    def input_path(self) -> InputPath:
        """The class raster."""
        return InputPath("labels.path", self.path, "file or folder")

    def require_truth_for(self, target: Target, warped: bool) -> None:
        """Raises ValueError if the labels cannot determine a target."""
        _require_masks_tell(target)


class MaskLabels(Frozen):
    """Labels as masks: an image of classes for each scene, with the same name."""

    kind: Literal["masks"] = "masks"
    folder: Location = Field(description="The folder of masks.")
    legend: ClassLegend
    undeclared: Undeclared = Field(
        default="stop", description="what to do with values or colours that the legend lacks"
    )

    @property
    def input_path(self) -> InputPath:
        """The folder of masks."""
        return InputPath("labels.folder", self.folder, "folder")

    def require_truth_for(self, target: Target, warped: bool) -> None:
        """Raises ValueError if the labels cannot determine a target."""
        _require_masks_tell(target)
        if self.legend.colours and warped:
            raise ValueError("masks of colours cannot be warped; leave warp out")


def _require_masks_tell(target: Target) -> None:
    if not target.from_masks:
        raise ValueError(f"target {target.to} needs labels of kind shapes")


Labels = Annotated[
    ShapeLabels | BoxLabels | ClassRasterLabels | MaskLabels, Field(discriminator="kind")
]
