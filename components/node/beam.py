"""Beam pipelines of the nodes."""

import functools
from collections.abc import Callable, Sequence
from types import FunctionType, MethodType
from typing import Any, TypeVar

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import core

_View = TypeVar("_View", bound=PipelineOptions)


def make_pipeline(args: Sequence[str]) -> beam.Pipeline:
    """Makes a pipeline with Beam's options, such as `--runner=FlinkRunner`."""
    _inspect_methods_once()
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


_Inspect = Callable[[Any], tuple[list[str], list[Any]]]


def _inspect_methods_once() -> None:
    """Lets Beam remember the arguments of the methods of its DoFns.

    Beam looks for state and timers among the arguments of all methods of a DoFn, several times for
    each transform: over a quarter of the time of an evaluation of a few hundred examples. Nothing
    but the function behind a method determines them.
    """
    inspect: _Inspect = core.get_function_args_defaults
    if not hasattr(inspect, "__wrapped__"):
        core.get_function_args_defaults = _inspecting_once(inspect)


def _inspecting_once(inspect: _Inspect) -> _Inspect:
    @functools.lru_cache(maxsize=4096)
    def found(function: FunctionType) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        names, defaults = inspect(MethodType(function, object()))
        return tuple(names), tuple(defaults)

    @functools.wraps(inspect)
    def inspect_once(function: Any) -> tuple[list[str], list[Any]]:
        if isinstance(function, MethodType) and isinstance(function.__func__, FunctionType):
            names, defaults = found(function.__func__)
            return list(names), list(defaults)
        return inspect(function)

    return inspect_once
