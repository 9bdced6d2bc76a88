"""Format of a compiled package: Kubeflow's PipelineSpec as plain values."""

from typing import Any

#: A JSON object.
Json = dict[str, Any]
#: The schema of the specification that Kubeflow takes.
SCHEMA_VERSION = "2.1.0"
