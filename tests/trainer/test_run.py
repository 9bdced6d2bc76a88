"""The entry point, called as TFX calls it, and through TFX itself."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tfx.components.trainer.component import Trainer
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2
from tfx.types.standard_artifacts import Examples

from components.raster.errors import DataError
from serving.contract.contract import read_contract
from tests.trainer.conftest import CLASSES
from trainer.run import run_fn
from trainer.training.config import SmallCnn, TrainConfig

CONFIG = TrainConfig(
    model=SmallCnn(filters=(4, 8), augment=False), batch_size=8, epochs=8, learning_rate=0.03
)


def custom_config(image_spec, **more):
    return {"train": CONFIG.model_dump_json(), "image": image_spec.model_dump_json(), **more}


def fn_args(folder, pattern, custom):
    return FnArgs(
        train_files=[pattern("train")],
        eval_files=[pattern("eval")],
        model_run_dir=str(folder / "run"),
        serving_model_dir=str(folder / "model"),
        custom_config=custom,
    )


def accuracy(model_dir, pattern):
    """The share of the test split that the exported model names rightly."""
    ask = tf.saved_model.load(str(model_dir)).signatures["serving_examples"]
    records = list(tf.data.TFRecordDataset(tf.io.gfile.glob(pattern("test"))).as_numpy_iterator())
    spec = {"label/text": tf.io.FixedLenFeature([], tf.string)}
    truth = tf.io.parse_example(records, spec)["label/text"].numpy()
    return np.mean(ask(examples=tf.constant(records))["class"].numpy() == truth)


@pytest.mark.slow
def test_from_examples_to_a_served_model_and_what_failed_is_taken_up(pattern, image_spec, tmp_path):
    custom = custom_config(image_spec, checkpoint_root=str(tmp_path / "checkpoints"))
    custom["train"] = CONFIG.model_copy(update={"temperature": "auto"}).model_dump_json()
    (tmp_path / "model").write_text("in the way of the export")
    with pytest.raises(tf.errors.OpError):
        run_fn(fn_args(tmp_path, pattern, custom))
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    (tmp_path / "model").unlink()

    run_fn(fn_args(tmp_path, pattern, custom))
    history = json.loads((tmp_path / "run/logs/history.json").read_text())
    assert history["resumed_after_epochs"] == len(history["epochs"])
    assert accuracy(tmp_path / "model", pattern) == 1.0
    contract = read_contract(tmp_path / "model")
    assert (contract.image, contract.classes) == (image_spec, CLASSES)
    scaling = json.loads((tmp_path / "run/logs/temperature.json").read_text())
    assert scaling["units"] == 11
    assert scaling["after"] <= scaling["before"]
    assert contract.temperature == (scaling["temperature"] if scaling["served"] else None)
    assert not list((tmp_path / "checkpoints").iterdir())


def test_examples_without_class_names_are_reported(image_spec, tmp_path):
    args = fn_args(tmp_path, lambda name: f"{tmp_path}/Split-{name}/*", custom_config(image_spec))
    with pytest.raises(DataError, match=r"classes\.json cannot be read"):
        run_fn(args)


@pytest.mark.slow
def test_tfx_trains_by_the_dotted_path(examples_root, pattern, image_spec, tmp_path):
    examples = Importer(
        source_uri=str(examples_root),
        artifact_type=Examples,
        properties={"split_names": json.dumps(["train", "eval", "test"])},
    ).with_id("examples")
    trainer = Trainer(
        run_fn="trainer.run.run_fn",
        examples=examples.outputs["result"],
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        custom_config=custom_config(image_spec),
    )
    pipeline = Pipeline(
        pipeline_name="toy",
        pipeline_root=str(tmp_path / "root"),
        components=[examples, trainer],
        metadata_connection_config=sqlite_metadata_connection_config(
            str(tmp_path / "metadata.sqlite")
        ),
    )
    LocalDagRunner().run(pipeline)
    (model_dir,) = (tmp_path / "root").glob("Trainer/model/*/Format-Serving")
    assert accuracy(model_dir, pattern) == 1.0
    (run_dir,) = (tmp_path / "root").glob("Trainer/model_run/*")
    assert (run_dir / "logs/history.json").is_file()
    assert not list((run_dir / "checkpoints").iterdir())
