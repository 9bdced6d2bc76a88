"""Our TFMA metric beside TFMA's own metrics, in one run over the same predictions."""

import json
from pathlib import Path

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.evaluation.analysis import to_eval_config
from components.evaluation.config import EvaluationConfig
from components.evaluation.extracts import Model
from components.evaluation.metrics import CONFUSION, SEED
from components.node.beam import make_pipeline


def test_count_and_confusion_matrix_are_those_of_tfma(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    count, classes = 90, 4
    labels, rows = rng.integers(0, classes, count), rng.dirichlet(np.ones(classes), count)
    extracts = [
        {
            tfma.INPUT_KEY: b"",
            tfma.LABELS_KEY: np.array([label]),
            tfma.PREDICTIONS_KEY: row.astype(np.float32),
            SEED: np.array([i]),
            tfma.FEATURES_KEY: {"region": np.array([b"north" if i % 3 else b"south"])},
        }
        for i, (label, row) in enumerate(zip(labels, rows, strict=True))
    ]
    config = EvaluationConfig.model_validate({"slices": ["region"]})
    eval_config = to_eval_config(config, [Model("candidate", "", tuple("abcd"))], classes)
    stock = [
        config_pb2.MetricConfig(class_name="ExampleCount", config='{"name": "stock_count"}'),
        config_pb2.MetricConfig(
            class_name="MultiClassConfusionMatrixAtThresholds",
            config=json.dumps({"thresholds": [0.0], "name": "stock_matrix"}),
        ),
    ]
    eval_config.metrics_specs[0].metrics.extend(stock)
    with make_pipeline(["--runner=FnApiRunner"]) as pipeline:
        _ = (
            pipeline
            | beam.Create(extracts)
            | tfma.ExtractEvaluateAndWriteResults(
                eval_config=eval_config,
                extractors=[tfma.extractors.SliceKeyExtractor(eval_config=eval_config)],
                output_path=str(tmp_path),
            )
        )
    slices = tfma.load_eval_result(str(tmp_path)).slicing_metrics
    assert len(slices) == 3
    for _, values in slices:
        metrics = values[""][""]
        assert metrics["example_count"] == metrics["stock_count"]
        ours, theirs = (
            sorted(
                map(
                    str,
                    metrics[name]["multiClassConfusionMatrixAtThresholds"]["matrices"][0][
                        "entries"
                    ],
                )
            )
            for name in (CONFUSION, "stock_matrix")
        )
        assert ours == theirs
