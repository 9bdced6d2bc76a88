"""Beam pipelines of the nodes."""

import functools
from collections.abc import Callable, Sequence
from types import FunctionType, MethodType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import core

_View = TypeVar("_View", bound=PipelineOptions)


def make_pipeline(args: Sequence[str]) -> beam.Pipeline:
    """Makes a pipeline from Beam's options, such as `--runner=FlinkRunner`."""
    _inspect_methods_once()
    return beam.Pipeline(options=_ParsedOnce(list(args)))


class _ParsedOnce(PipelineOptions):
    """Options that make each view only once.

    Beam requests a view several times for every transform, and builds a command-line parser each
    time: nearly a third of the time of an evaluation of a few hundred examples. Views share their
    values, so one can serve all requests.
    """

    def view_as(self, cls: type[_View]) -> _View:
        views: dict[type[_View], _View] = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the views out of copies, which have their own values."""
        return {name: it for name, it in super().__getstate__().items() if name != "_views"}


_Inspect = Callable[[Any], tuple[list[str], list[Any]]]


def _inspect_methods_once() -> None:
    """Caches the arguments of the methods of Beam's DoFns.

    Beam looks for state and timers among the arguments of all methods of a DoFn, several times for
    each transform: thousands of times for the evaluation of a model. Only the function behind a
    method determines them. Beam has no option for this, so a function of its module is replaced; a
    release without that function stays unchanged, and is merely slower.
    """
    inspect: _Inspect | None = getattr(core, "get_function_args_defaults", None)
    if inspect is not None and not hasattr(inspect, "__wrapped__"):
        core.get_function_args_defaults = _inspecting_once(inspect)


def _inspecting_once(inspect: _Inspect) -> _Inspect:
    known: WeakKeyDictionary[FunctionType, tuple[list[str], list[Any]]] = WeakKeyDictionary()

    @functools.wraps(inspect)
    def inspect_once(function: Any) -> tuple[list[str], list[Any]]:
        if not isinstance(function, MethodType) or not isinstance(function.__func__, FunctionType):
            return inspect(function)
        found = known.get(function.__func__)
        if found is None:
            found = known[function.__func__] = inspect(function)
        names, defaults = found
        return list(names), list(defaults)

    return inspect_once
