"""Beam pipelines of the nodes."""

from collections.abc import Sequence
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

_View = TypeVar("_View", bound=PipelineOptions)


def make_pipeline(args: Sequence[str]) -> beam.Pipeline:
    """Makes a pipeline with Beam's options, such as `--runner=FlinkRunner`."""
    return beam.Pipeline(options=_ParsedOnce(list(args)))


class _ParsedOnce(PipelineOptions):
    """Options of which each view is made once.

    Beam asks for a view several times for every transform, and builds a parser of the command line
    each time: nearly a third of the time of an evaluation of a few hundred examples. Views share
    their values, so that one is as good as another.
    """

    def view_as(self, cls: type[_View]) -> _View:
        views: dict[type[_View], _View] = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the views out of copies, which have values of their own."""
        return {name: it for name, it in super().__getstate__().items() if name != "_views"}
