"""Meaning of a manifest's columns."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from components.raster.frozen import Frozen
from components.raster.task import Task

#: Suffixes of manifests.
MANIFEST_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")


class ManifestColumns(Frozen):
    """Names of a manifest's columns, by their meaning."""

    uri: str = Field(
        default="uri",
        description="path or URI of the image: absolute, remote, or relative to the manifest's "
        "own folder",
    )
    label: str | None = Field(
        default="label",
        description="the class of each image; null by default if another truth is given. With "
        "null and no other truth the images are not labelled, and can only be "
        "predicted",
    )
    labels: str | None = Field(
        default=None,
        description="several classes of each image: a list, or text separated by |",
    )
    empty_labels: Literal["reject", "no_class"] = Field(
        default="reject",
        description="meaning of an empty text in labels: the image is unlabelled, or it has "
        "none of the classes, as an empty list always means",
    )
    number: str | None = Field(
        default=None, description="a number for each image, instead of classes"
    )
    mask: str | None = Field(
        default=None,
        description="a mask for each image, instead of classes; its path as in uri",
    )
    split: str | None = Field(
        default=None, description="train, eval or test; if empty, the split is drawn"
    )
    group: str | None = Field(default=None, description="group of images that share a split")
    slices: tuple[str, ...] = Field(
        default=(), description="columns by which statistics can be sliced"
    )

    @model_validator(mode="before")
    @classmethod
    def _label_gives_way(cls, columns: Any) -> Any:
        """Drops the default label column if a column of another truth is named."""
        if not isinstance(columns, dict) or "label" in columns:
            return columns
        others = any(columns.get(name) is not None for name in ("labels", "number", "mask"))
        return {**columns, "label": None} if others else columns

    @model_validator(mode="after")
    def _one_meaning_each(self) -> Self:
        classes = self.label is not None or self.labels is not None
        truths = (classes, self.number is not None, self.mask is not None)
        if sum(truths) > 1:
            raise ValueError(
                "columns.number and columns.mask each exclude any other truth: name one of them, "
                "or columns.label and columns.labels"
            )
        if self.empty_labels == "no_class" and self.task != "multi_label":
            raise ValueError(
                "columns.empty_labels: no_class is about columns.labels without columns.label, "
                "where an image may have none of the classes"
            )
        return self

    @property
    def has_truth(self) -> bool:
        """A column holds the truth."""
        return any((self.label, self.labels, self.number, self.mask))

    def without_truth(self) -> "ManifestColumns":
        """Returns the columns without those of the truth, of splits and of groups."""
        return ManifestColumns(uri=self.uri, label=None, slices=self.slices)

    @property
    def of_one_value(self) -> tuple[str, ...]:
        """Columns whose cells hold one text or number, not a list."""
        named = (self.uri, self.label, self.number, self.mask, self.split, self.group)
        return tuple(name for name in named if name is not None)

    @property
    def task(self) -> Task:
        """Task of the columns; classification if they give one class as well as several."""
        if self.mask is not None:
            return "segmentation"
        if self.number is not None:
            return "regression"
        return "single_label" if self.label is not None else "multi_label"
