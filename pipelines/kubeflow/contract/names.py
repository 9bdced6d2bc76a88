"""Names of tasks, components and executors in Kubeflow's format."""

import re

_START_OF_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def kebab(name: str) -> str:
    """Converts `StopOnRejects` or `stop_on_rejects` to `stop-on-rejects`."""
    return _START_OF_WORD.sub("-", name).replace("_", "-").lower()


def component_name(node: str) -> str:
    """Returns the component name of a node; kfp.local strips its first five characters again."""
    return f"comp-{kebab(node)}"


def executor_label(node: str) -> str:
    """Returns the executor label of a node."""
    return f"exec-{kebab(node)}"
