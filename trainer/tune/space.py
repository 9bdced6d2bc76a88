"""Dotted paths into the trainer's configuration: whether they exist, and what may stand there."""

import difflib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from trainer.distribution.config import StrategyName
from trainer.training.config import TrainConfig
from trainer.tune.config import Dimension, TuneConfig

#: What marks a value that KerasTuner has no type for: lists, mappings and null travel as JSON.
_JSON = "json:"
#: KerasTuner's own values, beside those of the space.
_RESERVED = "tuner/"
#: Of a range with a step every value is tried out, up to so many.
_MOST_STEPS = 1000

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What cannot be in a search space."""

    path: str
    value: Any
    message: str


def encode(values: Sequence[Any]) -> list[Any]:
    """Values as KerasTuner can hold them: texts, numbers or booleans, all of one type."""
    types = {type(value) for value in values}
    if types in ({bool}, {int}, {float}):
        return list(values)
    if types == {int, float}:
        return [float(value) for value in values]
    if types == {str} and not any(value.startswith(_JSON) for value in values):
        return list(values)
    return [_JSON + json.dumps(value, sort_keys=True) for value in values]


def decode(values: Values) -> dict[str, Any]:
    """The values by path, as they were before `encode`, without KerasTuner's own."""
    return {
        path: json.loads(value.removeprefix(_JSON))
        if isinstance(value, str) and value.startswith(_JSON)
        else value
        for path, value in values.items()
        if not path.startswith(_RESERVED)
    }


def apply(config: TrainConfig, values: Values, base_dir: str = "") -> TrainConfig:
    """The configuration with other values at some paths, checked like any other.

    Args:
        values: decoded, by dotted path.
        base_dir: where relative locations among the values start.

    Raises:
        ValidationError: a value cannot stand where its path leads.
        KeyError: a path leads nowhere.
    """
    tree = config.model_dump(mode="json")
    for path, value in values.items():
        *parents, name = path.split(".")
        node: Any = tree
        for parent in parents:
            node = node[parent]
        node[name] = value
    return TrainConfig.model_validate(tree, context={"base_dir": base_dir})


def check(tune: TuneConfig, train: TrainConfig, base_dir: str = "") -> tuple[Finding, ...]:
    """Everything in the space that the trainer would refuse, each value tried by itself."""
    return tuple(
        finding
        for path, dimension in tune.space.items()
        for finding in _findings(path, dimension, tune, train, base_dir)
    )


def anchored(tune: TuneConfig, train: TrainConfig, base_dir: str) -> TuneConfig:
    """The same search with every listed location absolute; the space has to be a checked one."""

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
    """Refuses what no trial could be: one of several processes, or of two lengths.

    Raises:
        ValueError: says what to change.
    """
    if train.strategy in (StrategyName.MULTI_WORKER, StrategyName.TPU):
        raise ValueError(
            f"a trial runs in one process on one device, so train.strategy cannot be "
            f"{train.strategy}: search with auto, and train with {train.strategy} afterwards"
        )
    if "strategy" in tune.space:
        raise ValueError("a trial runs on one device: take strategy out of space")
    if train.stages and (tune.epochs is not None or "epochs" in tune.space):
        raise ValueError("train.stages say how long a training is: leave tune.epochs out")
    if train.stages and tune.algorithm == "hyperband" and "stages" in tune.space:
        raise ValueError("hyperband needs trainings of one length: take stages out of space")


def is_whole(path: str, dimension: Dimension, train: TrainConfig) -> bool:
    """Whether only integers may stand at the path of a range."""
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
) -> Iterator[Finding]:
    if unknown := _unknown(path, train):
        yield Finding(path, path, unknown)
        return
    outer = [other for other in tune.space if path.startswith(f"{other}.")]
    if outer:
        yield Finding(path, path, f"{outer[0]} is in the space as a whole; give it there")
        return
    for value in _samples(dimension):
        try:
            apply(train, {path: value}, base_dir)
        except ValidationError as error:
            yield Finding(path, value, _reason(error))


def _samples(dimension: Dimension) -> Iterator[Any]:
    """Every value of a list or of a range with a step, the ends of any other range."""
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
    """Why a path leads nowhere, with what is nearest; empty where it leads somewhere."""
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
            # Free mappings, such as a constructor's arguments, take any one key.
            return "" if depth == len(names) - 1 else f"train{_dot(before)} has nothing so deep"
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
    """The messages of a refused value, each once."""
    return "; ".join(dict.fromkeys(finding["msg"] for finding in error.errors()))
