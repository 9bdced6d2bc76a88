"""Executor of the Baseline node: copies the served version into an artifact, if there is one."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx.dsl.io import fileio

from components.baseline.config import BaselineConfig
from components.gate.baseline import NONE_FILE, VERSION_DIR
from components.node.executor import Artifacts, NodeExecutor
from serving.store.served import require_state, served_version
from serving.store.version_store import version_store

#: The artifact's `served_version` if no version is served.
NO_VERSION = -1


class Executor(NodeExecutor):
    """Reads `config` and `model_base`; fills `baseline`.

    The copy keeps the comparison reproducible: later changes to the version folder, by a server or
    a push, do not affect the nodes that compare with it.
    """

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Raises ServedVersionError when the served version cannot be determined, or changes."""
        config = BaselineConfig.model_validate_json(properties["config"])
        model_base = properties["model_base"]
        artifact = outputs["baseline"]
        served = served_version(model_base, config.endpoint, config.timeout_s)
        fileio.makedirs(artifact.uri)
        if served.number is None:
            artifact.served_version = NO_VERSION
            with fileio.open(os.path.join(artifact.uri, NONE_FILE), "w") as file:
                file.write(json.dumps({"model_base": model_base, "served_version": None}) + "\n")
        else:
            artifact.served_version = served.number
            version_store(model_base).fetch(served.number, Path(artifact.uri, VERSION_DIR))
        require_state(properties["nonce"], model_base, served.number)
