"""Configuration of sources of photographs: class folders, manifests, masks and boxes."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from components.ingest.listing.config import ManifestColumns
from components.ingest.records.source import (
    CorrectableSource,
    InputPath,
    SourceOptions,
    found_by,
    with_one_group,
)
from components.raster.extension import Called
from components.raster.labels.boxes import BoxFile
from components.raster.labels.class_raster import ClassLegend
from components.raster.location import Location
from components.raster.task import Task
from components.raster.text import Encoding


class ImagesSource(SourceOptions):
    """Photographs anywhere below a folder, without truth: for predictions."""

    kind: Literal["images"] = "images"
    uri: Location = Field(min_length=1, description="path or URI of the folder of images")
    apart: Location | None = Field(
        default=None, description="folder below it to leave out, such as one of masks"
    )

    @property
    def task(self) -> Task:
        """One class per image: the default task, since nothing is learnt from the source."""
        return "single_label"

    @property
    def has_truth(self) -> bool:
        """Nothing is known about the images."""
        return False

    def input_paths(self) -> Iterator[InputPath]:
        """Yields the folder."""
        yield InputPath("uri", self.uri, "folder")


class FoldersSource(CorrectableSource):
    """Class folders: `<uri>/<class>/**` contains the images of a class."""

    kind: Literal["folders"] = "folders"
    uri: Location = Field(min_length=1, description="path or URI of the folder of class folders")

    @property
    def task(self) -> Task:
        """A folder is one class."""
        return "single_label"

    @property
    def names_classes(self) -> bool:
        """A folder names the class of its images."""
        return True

    def without_truth(self) -> ImagesSource:
        """Returns only the images; the names of their folders have no meaning."""
        return ImagesSource(uri=self.uri)

    def input_paths(self) -> Iterator[InputPath]:
        """Yields the folder."""
        yield InputPath("uri", self.uri, "folder")
        yield from self.correction_paths()


class MaskLegend(SourceOptions):
    """Legend of masks: the meaning of their pixels."""

    legend: ClassLegend | None = Field(
        default=None, description="classes of the masks, by value or colour"
    )
    undeclared: Literal["reject", "ignore"] = Field(
        default="reject",
        description="what happens to an image whose mask holds values or colours that the "
        "legend lacks: it is a reject, or these pixels have no truth",
    )

    @property
    def mask_legend(self) -> ClassLegend | None:
        """The legend."""
        return self.legend


class ManifestSource(MaskLegend, CorrectableSource):
    """A table with one row per image: CSV with a header, JSON Lines, or Parquet, by its suffix."""

    kind: Literal["manifest"] = "manifest"
    uri: Location = Field(min_length=1, description="path or URI of a .csv, .jsonl or .parquet")
    columns: ManifestColumns = ManifestColumns()
    encoding: Encoding | None = Field(
        default=None,
        description="text encoding of a .csv or .jsonl, such as cp1252; default: UTF-8, or what"
        " its byte order mark says",
    )

    @model_validator(mode="after")
    def _masks_have_a_legend(self) -> Self:
        if (self.columns.mask is None) != (self.legend is None):
            raise ValueError("columns.mask and legend go together: give both, or neither")
        return self

    @property
    def task(self) -> Task:
        """Task that the columns describe."""
        return self.columns.task

    @property
    def names_classes(self) -> bool:
        """A column names the classes of each image."""
        return bool(self.columns.label or self.columns.labels)

    @property
    def has_truth(self) -> bool:
        """A column holds the truth."""
        return self.columns.has_truth

    def without_truth(self) -> "ManifestSource":
        """Returns the rows without the columns of their truth."""
        return ManifestSource(
            uri=self.uri, columns=self.columns.without_truth(), encoding=self.encoding
        )

    @property
    def slices(self) -> tuple[str, ...]:
        """Columns of slices."""
        return self.columns.slices

    def input_paths(self) -> Iterator[InputPath]:
        """Yields the table."""
        yield InputPath("uri", self.uri, "file")
        yield from self.correction_paths()


class CustomSource(MaskLegend, CorrectableSource, Called):
    """Photographs listed by user code: see docs/extending.md."""

    group: ClassVar[str] = "skymill.sources"
    passes: ClassVar[tuple[str, ...]] = ("uri",)

    kind: Literal["custom"] = "custom"
    uri: Location = Field(min_length=1, description="path or URI with which the code is called")
    truth: Literal["label", "labels", "number", "mask"] = Field(
        description="truth in each record: a class, several classes, a number, or a mask"
    )
    slice_names: tuple[str, ...] = Field(
        default=(), description="slices of the records by which metrics can be broken down"
    )

    @model_validator(mode="after")
    def _masks_have_a_legend(self) -> Self:
        if (self.truth == "mask") != (self.legend is not None):
            raise ValueError("truth: mask and legend go together: give both, or neither")
        return self

    @property
    def task(self) -> Task:
        """Task of the records' truth."""
        return _TASK_OF[self.truth]

    @property
    def names_classes(self) -> bool:
        """Records name their classes."""
        return self.truth in ("label", "labels")

    @property
    def slices(self) -> tuple[str, ...]:
        """Names of slices."""
        return self.slice_names

    def input_paths(self) -> Iterator[InputPath]:
        """Yields the place."""
        yield InputPath("uri", self.uri, "file or folder")
        yield from self.correction_paths()


_TASK_OF: Mapping[str, Task] = {
    "label": "single_label",
    "labels": "multi_label",
    "number": "regression",
    "mask": "segmentation",
}


class GroupedPhotographs(SourceOptions):
    """Rule that groups the photographs of a folder."""

    group_pattern: Annotated[str | None, AfterValidator(with_one_group)] = Field(
        default=None,
        description="regular expression; images for which its first group finds the same text "
        "in the path share a split",
    )

    def group_of(self, key: str) -> str | None:
        """Returns the group of an image, by its path."""
        return found_by(self.group_pattern, key)


class MaskedSource(GroupedPhotographs, MaskLegend):
    """Photographs in one folder, and in another a mask for each, with the same name."""

    kind: Literal["masked"] = "masked"
    uri: Location = Field(min_length=1, description="path or URI of the folder of images")
    masks: Location = Field(
        min_length=1,
        description="path or URI of the folder of masks, which have the names of the images, "
        "apart from the suffix",
    )

    @model_validator(mode="after")
    def _has_a_legend(self) -> Self:
        if self.legend is None:
            raise ValueError("masks need a legend: what their values or colours mean")
        return self

    @property
    def task(self) -> Task:
        """Segmentation: a mask is a class for each pixel."""
        return "segmentation"

    def without_truth(self) -> ImagesSource:
        """Returns the images alone."""
        return ImagesSource(uri=self.uri, apart=self.masks)

    def input_paths(self) -> Iterator[InputPath]:
        """Yields both folders."""
        yield InputPath("uri", self.uri, "folder")
        yield InputPath("masks", self.masks, "folder")


class BoxedSource(GroupedPhotographs):
    """Photographs in one folder, and boxes in their pixels in a file."""

    kind: Literal["boxed"] = "boxed"
    uri: Location = Field(min_length=1, description="path or URI of the folder of images")
    boxes: BoxFile

    @property
    def task(self) -> Task:
        """Detection: boxes are objects."""
        return "detection"

    def without_truth(self) -> ImagesSource:
        """Returns the images alone."""
        return ImagesSource(uri=self.uri)

    def input_paths(self) -> Iterator[InputPath]:
        """Yields the folder and the labels."""
        yield InputPath("uri", self.uri, "folder")
        yield InputPath("boxes.path", self.boxes.path, "file or folder")
