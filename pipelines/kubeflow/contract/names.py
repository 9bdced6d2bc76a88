"""Names of tasks, components and executors as Kubeflow wants them."""

import re

_START_OF_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def kebab(name: str) -> str:
    """`StopOnRejects` and `stop_on_rejects` are `stop-on-rejects`."""
    return _START_OF_WORD.sub("-", name).replace("_", "-").lower()


def component_name(node: str) -> str:
    """The component of a node; kfp.local takes the first five characters off again."""
    return f"comp-{kebab(node)}"


def executor_label(node: str) -> str:
    """The executor of a node."""
    return f"exec-{kebab(node)}"
