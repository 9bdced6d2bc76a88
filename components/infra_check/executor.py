"""Executor of the InfraCheck node: copies the model, adds warm-up requests, tests the copy."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.utils import io_utils, path_utils

from components.gate.artifact import publish
from components.infra_check.check import check_model
from components.infra_check.config import InfraCheckConfig
from components.node.executor import Artifacts, NodeExecutor
from components.node.files import split_folder
from components.node.records import records, shards
from components.raster.example import ENCODED
from serving.graph.warmup import write_warmup


class Executor(NodeExecutor):
    """Reads `model` and `examples`; fills `checked`, the folder to push, and `report`."""

    def execute(self, inputs: Artifacts, outputs: Artifacts, properties: Mapping[str, Any]) -> None:
        """Never raises for a bad model: the report records the failure, Stop raises it."""
        config = InfraCheckConfig.model_validate_json(properties["config"])
        trained = path_utils.serving_model_path(inputs.uri("model"))
        checked = path_utils.serving_model_dir(outputs.uri("checked"))
        io_utils.copy_dir(trained, checked)
        examples = first_examples(
            inputs.uri("examples"),
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
        publish(report, outputs["report"])


def first_examples(examples_uri: str, split: str, count: int) -> list[bytes]:
    """Returns the first serialized examples of a split of an Examples artifact, up to `count`."""
    return list(islice(records(*shards(split_folder(examples_uri, split))), count))


def encoded_image(serialized: bytes) -> bytes:
    """Returns the image bytes in a serialized example, as the user supplied them."""
    (image,) = tf.train.Example.FromString(serialized).features.feature[ENCODED].bytes_list.value
    return bytes(image)
