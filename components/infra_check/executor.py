"""Executor of the InfraCheck node: copies the model, adds warm-up requests, tests the copy."""

import os
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils, path_utils

from components.gate.artifact import publish
from components.infra_check.check import check_model
from components.infra_check.config import InfraCheckConfig
from components.raster.example import ENCODED
from serving.graph.warmup import write_warmup


class Executor(BaseExecutor):
    """Reads `model` and `examples`; fills `checked`, the folder to push, and `report`."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Never raises for a bad model: the report records the failure, Stop raises it."""
        self._log_startup(input_dict, output_dict, exec_properties)
        config = InfraCheckConfig.model_validate_json(exec_properties["config"])
        trained = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["model"]))
        checked = path_utils.serving_model_dir(
            artifact_utils.get_single_uri(output_dict["checked"])
        )
        io_utils.copy_dir(trained, checked)
        examples = first_examples(
            artifact_utils.get_single_uri(input_dict["examples"]),
            config.split,
            max(config.examples, config.warmup_requests),
        )
        images = [encoded_image(example) for example in examples]
        write_warmup(
            Path(checked),
            images,
            max_requests=config.warmup_requests,
            max_bytes=config.warmup_max_bytes,
        )
        report = check_model(
            Path(checked),
            Path(trained),
            images[: config.examples],
            examples[: config.examples],
            config,
        )
        publish(report, artifact_utils.get_single_instance(output_dict["report"]))


def first_examples(examples_uri: str, split: str, count: int) -> list[bytes]:
    """Returns the first serialized examples of a split of an Examples artifact, up to `count`."""
    files = sorted(tf.io.gfile.glob(os.path.join(examples_uri, f"Split-{split}", "*")))
    found: list[bytes] = []
    for path in files:
        records = tf.data.TFRecordDataset(path, "GZIP" if path.endswith(".gz") else "")
        found += records.take(count - len(found)).as_numpy_iterator()
    return found


def encoded_image(serialized: bytes) -> bytes:
    """Returns the user's own image bytes in a serialized example."""
    (image,) = tf.train.Example.FromString(serialized).features.feature[ENCODED].bytes_list.value
    return bytes(image)
