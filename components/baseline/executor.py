"""Copy the version being served into an artifact, or say that there is none."""

import json
import os
from pathlib import Path
from typing import Any

from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.dsl.io import fileio
from tfx.types import Artifact, artifact_utils

from components.baseline.config import BaselineConfig
from components.gate.baseline import NONE_FILE, VERSION_DIR
from serving.store.served import served_version
from serving.store.version_store import version_store

#: The artifact's `served_version` when nothing is served.
NO_VERSION = -1


class Executor(BaseExecutor):
    """Reads `config` and `model_base`; fills `baseline`.

    The copy keeps the comparison reproducible: what a server or a later push does to the version
    folder does not reach the nodes that compare with it.
    """

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Raises ServedVersionError when it cannot be found out what is served."""
        self._log_startup(input_dict, output_dict, exec_properties)
        config = BaselineConfig.model_validate_json(exec_properties["config"])
        model_base = exec_properties["model_base"]
        artifact = artifact_utils.get_single_instance(output_dict["baseline"])
        served = served_version(model_base, config.endpoint, config.timeout_s)
        fileio.makedirs(artifact.uri)
        if served.number is None:
            artifact.served_version = NO_VERSION
            with fileio.open(os.path.join(artifact.uri, NONE_FILE), "w") as file:
                file.write(json.dumps({"model_base": model_base, "served_version": None}) + "\n")
        else:
            artifact.served_version = served.number
            version_store(model_base).fetch(served.number, Path(artifact.uri, VERSION_DIR))
