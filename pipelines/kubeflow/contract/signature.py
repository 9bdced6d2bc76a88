"""What a node's container must know and the backend does not tell it: types, mostly.

The open-source backend hands artifacts over with an empty schema, every integer as a double and
every optional input as if it were there. So the types travel in an argument of the command.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from pipelines.kubeflow.contract.views import View

#: The parameter that holds the run's id; no execution property.
RUN_ID = "run_id"
#: The argument of a container that holds its signature.
ARGUMENT = "--signature"
#: The executor of every gate: it fails if the report of its check has failed.
STOP_EXECUTOR = "components.gate.executor.Executor"


@dataclass(frozen=True)
class InputType:
    """The class of an input artifact by its dotted path, and whether the node works without it."""

    type: str
    optional: bool = False


@dataclass(frozen=True)
class NodeTypes:
    """The artifacts of a node as its TFX component declares them: inputs, then outputs by class."""

    inputs: Mapping[str, InputType]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Signature:
    """All that the entry point needs besides what the launcher fills in.

    Attributes:
        executor: the executor's class by its dotted path.
        inputs: the input artifacts by name.
        outputs: the classes of the output artifacts by name.
        parameters: the execution properties and their types, as the IR spells those.
        views: further outputs, which the entry point makes for Kubeflow's pages.
    """

    executor: str
    inputs: Mapping[str, InputType] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    views: tuple[View, ...] = ()

    def to_json(self) -> str:
        """One line, keys in order: it is part of a cache key."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Signature":
        """The inverse of `to_json`."""
        tree: dict[str, Any] = json.loads(text)
        return cls(
            executor=tree["executor"],
            inputs={name: InputType(**value) for name, value in tree["inputs"].items()},
            outputs=tree["outputs"],
            parameters=tree["parameters"],
            views=tuple(View(**view) for view in tree["views"]),
        )

    @classmethod
    def in_arguments(cls, args: Sequence[str]) -> "Signature | None":
        """The signature among the arguments of a container; None for a container of others."""
        for name, text in pairwise(args):
            if name == ARGUMENT:
                try:
                    return cls.from_json(text)
                except (ValueError, KeyError, TypeError, AttributeError):
                    return None
        return None
