"""Signature of a node: what its container needs and the backend does not pass, mostly types.

The open-source backend passes artifacts with an empty schema, every integer as a double and every
optional input as if it were present. Therefore an argument of the command carries the types.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from pipelines.kubeflow.contract.views import OutputView

#: The parameter with the run's id; not an execution property.
RUN_ID = "run_id"
#: The container argument with its signature.
ARGUMENT = "--signature"
#: The executor of every gate, which fails if its check's report has failed.
STOP_EXECUTOR = "components.gate.executor.Executor"


@dataclass(frozen=True)
class InputType:
    """Type of an input artifact: its class by dotted path, and whether it is optional."""

    type: str
    optional: bool = False


@dataclass(frozen=True)
class NodeTypes:
    """Artifact types that a node's TFX component declares: inputs, and outputs by class."""

    inputs: Mapping[str, InputType]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class NodeSignature:
    """All that the entry point needs besides the launcher's executor input.

    Attributes:
        executor: the executor's class by its dotted path.
        inputs: the input artifacts by name.
        outputs: the classes of the output artifacts by name.
        parameters: the execution properties and their types, as the IR spells them.
        views: further outputs, which the entry point writes for Kubeflow's pages.
    """

    executor: str
    inputs: Mapping[str, InputType] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    views: tuple[OutputView, ...] = ()

    def to_json(self) -> str:
        """Serialises to one line with sorted keys, since it is part of a cache key."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "NodeSignature":
        """Parses the output of `to_json`."""
        tree: dict[str, Any] = json.loads(text)
        return cls(
            executor=tree["executor"],
            inputs={name: InputType(**value) for name, value in tree["inputs"].items()},
            outputs=tree["outputs"],
            parameters=tree["parameters"],
            views=tuple(OutputView(**view) for view in tree["views"]),
        )

    @classmethod
    def in_arguments(cls, args: Sequence[str]) -> "NodeSignature | None":
        """Returns the signature in a container's arguments; None for a foreign container."""
        for name, text in pairwise(args):
            if name == ARGUMENT:
                try:
                    return cls.from_json(text)
                except (ValueError, KeyError, TypeError, AttributeError):
                    return None
        return None
