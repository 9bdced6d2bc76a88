"""The interface of a task to reading examples: its features, and the targets made of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import tensorflow as tf

from components.raster.image import ImageSpec

#: Specification of a feature for `tf.io.parse_example`.
Parsing: TypeAlias = tf.io.FixedLenFeature | tf.io.RaggedFeature


class TargetReader(Protocol):
    """Reads the targets of examples; each task's `Objective` is one."""

    @property
    def parsing(self) -> Mapping[str, Parsing]:
        """Features of an example, besides the image, from which the targets are computed."""

    def count(self, files: Sequence[str]) -> int:
        """Counts the examples of files; decodes no image.

        Raises:
            DataError: the files cannot be read, or hold a target that cannot be learnt.
        """

    def targets(self, parsed: Mapping[str, Any], image: ImageSpec) -> Any:
        """Computes the targets of the loss: tensors of N rows, in any nest.

        Args:
            parsed: tensors [N, ...] of the features that `parsing` names.
            image: how the images of the same rows were fitted; masks and boxes follow.
        """
