"""Dotted paths into the trainer's configuration: existence and valid values."""

import difflib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from components.raster.frozen import message_in
from trainer.distribution.config import StrategyName
from trainer.training.config import TrainConfig
from trainer.tune.config import Dimension, TuneConfig

#: Prefix of values without a KerasTuner type: lists, mappings and null are encoded as JSON.
_JSON = "json:"
#: Prefix of KerasTuner's own values, which accompany those of the space.
_RESERVED = "tuner/"
#: Maximum number of values checked in a range with a step.
_MOST_STEPS = 1000

Values = Mapping[str, Any]


@dataclass(frozen=True)
class SpaceFault:
    """Part of a search space that is not allowed."""

    path: str
    value: Any
    message: str


def encode(values: Sequence[Any]) -> list[Any]:
    """Encodes values for KerasTuner: strings, numbers or booleans, all of one type."""
    types = {type(value) for value in values}
    if types in ({bool}, {int}, {float}):
        return list(values)
    if types == {int, float}:
        return [float(value) for value in values]
    if types == {str} and not any(value.startswith(_JSON) for value in values):
        return list(values)
    return [_JSON + json.dumps(value, sort_keys=True) for value in values]


def decode(values: Values) -> dict[str, Any]:
    """Decodes values by path, reversing `encode`; omits KerasTuner's own."""
    return {
        path: json.loads(value.removeprefix(_JSON))
        if isinstance(value, str) and value.startswith(_JSON)
        else value
        for path, value in values.items()
        if not path.startswith(_RESERVED)
    }


def apply(config: TrainConfig, values: Values, base_dir: str = "") -> TrainConfig:
    """Returns the configuration with other values at some paths, validated like any other.

    Args:
        values: decoded, by dotted path.
        base_dir: base of relative locations among the values.

    Raises:
        ValidationError: a value is invalid at its path.
        KeyError: a path does not exist.
    """
    tree = config.model_dump(mode="json")
    for path, value in values.items():
        *parents, name = path.split(".")
        node: Any = tree
        for parent in parents:
            node = node[parent]
        node[name] = value
    return TrainConfig.model_validate(tree, context={"base_dir": base_dir})


def check(tune: TuneConfig, train: TrainConfig, base_dir: str = "") -> tuple[SpaceFault, ...]:
    """Finds everything in the space that the trainer would refuse, trying each value by itself."""
    return tuple(
        finding
        for path, dimension in tune.space.items()
        for finding in _findings(path, dimension, tune, train, base_dir)
    )


def anchored(tune: TuneConfig, train: TrainConfig, base_dir: str) -> TuneConfig:
    """Returns the search with absolute locations; the space must have passed `check`."""

    def listed(path: str, value: Any) -> Any:
        node = apply(train, {path: value}, base_dir).model_dump(mode="json", exclude_unset=True)
        for name in path.split("."):
            node = node[name]
        return node

    space = {
        path: dimension.model_copy(
            update={"values": tuple(listed(path, value) for value in dimension.values)}
        )
        if dimension.values is not None
        else dimension
        for path, dimension in tune.space.items()
    }
    return tune.model_copy(update={"space": space})


def require_trials(tune: TuneConfig, train: TrainConfig) -> None:
    """Refuses searches whose trials need several processes or differ in length.

    Raises:
        ValueError: the message names the setting to change.
    """
    if train.strategy in (StrategyName.MULTI_WORKER, StrategyName.TPU):
        raise ValueError(
            f"a trial runs in one process on one device, so train.strategy cannot be "
            f"{train.strategy}: search with auto, and train with {train.strategy} afterwards"
        )
    if "strategy" in tune.space:
        raise ValueError("a trial runs on one device: take strategy out of space")
    if of_ensemble := [path for path in tune.space if path.split(".")[0] == "ensemble"]:
        raise ValueError(
            f"a trial trains one network, which {of_ensemble[0]} does not change: take it out of "
            "space, and set train.ensemble for the training that follows"
        )
    if train.stages and (tune.epochs is not None or "epochs" in tune.space):
        raise ValueError("train.stages define the length of a training: leave tune.epochs out")
    if train.stages and tune.algorithm == "hyperband" and "stages" in tune.space:
        raise ValueError("hyperband needs trainings of one length: take stages out of space")


def is_whole(path: str, dimension: Dimension, train: TrainConfig) -> bool:
    """Checks whether only integers are valid at the path of a range."""
    if not all(isinstance(end, int) for end in (dimension.min, dimension.max, dimension.step or 1)):
        return False
    middle = (dimension.min or 0) + 0.5
    try:
        apply(train, {path: middle})
    except ValidationError:
        return True
    return False


def _findings(
    path: str, dimension: Dimension, tune: TuneConfig, train: TrainConfig, base_dir: str
) -> Iterator[SpaceFault]:
    if unknown := _unknown(path, train):
        yield SpaceFault(path, path, unknown)
        return
    outer = [other for other in tune.space if path.startswith(f"{other}.")]
    if outer:
        yield SpaceFault(path, path, f"{outer[0]} is in the space as a whole; give it there")
        return
    for value in _samples(dimension):
        try:
            apply(train, {path: value}, base_dir)
        except ValidationError as error:
            yield SpaceFault(path, value, _reason(error))


def _samples(dimension: Dimension) -> Iterator[Any]:
    """Yields every value of a list or of a range with a step, and the ends of any other range."""
    low, high, step = dimension.min, dimension.max, dimension.step
    if dimension.values is not None or low is None or high is None:
        yield from dimension.values or ()
    elif step is None:
        yield from (low, high)
    else:
        linear = dimension.sampling == "linear"
        grid = (low + step * i if linear else low * step**i for i in range(_MOST_STEPS))
        yield from itertools.takewhile(lambda value: value <= high, grid)


def _unknown(path: str, train: TrainConfig) -> str:
    """Explains why a path does not exist, with the nearest names; empty if it exists."""
    node: Any = train
    names = path.split(".")
    for depth, name in enumerate(names):
        before = ".".join(names[:depth])
        if isinstance(node, BaseModel):
            known = sorted(type(node).model_fields)
            if name not in known:
                return f"unknown field of train{_dot(before)} ({_hint(name, before, known)})"
            node = getattr(node, name)
        elif isinstance(node, dict):
            # Free mappings, such as a constructor's arguments, accept any one key.
            return "" if depth == len(names) - 1 else f"train{_dot(before)} has no further fields"
        else:
            return f"train{_dot(before)} is {node!r} and has no {name}"
    return ""


def _hint(name: str, before: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    prefix = f"{before}." if before else ""
    return f"did you mean {prefix + near[0]}?" if near else f"known there: {', '.join(known)}"


def _dot(path: str) -> str:
    return f".{path}" if path else ""


def _reason(error: ValidationError) -> str:
    """Joins the distinct messages of a refused value."""
    return "; ".join(dict.fromkeys(map(message_in, error.errors())))
