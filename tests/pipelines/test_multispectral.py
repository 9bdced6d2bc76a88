"""Real chips of Sentinel-2 from their folder to answers about GeoTIFFs, split by place."""

import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml

from serving.client import connect
from serving.client.raster_reading import RasterReading
from serving.server.process import serve_in_subprocess

pytestmark = pytest.mark.recipes

#: Of the example's two stages, which have more: enough to be far above chance.
EPOCHS = (4, 12)


def test_the_served_model_answers_about_files_as_about_examples(
    repository, run_config, tmp_path, shared_data, pretrained
):
    chips = shared_data("eurosat_ms_tif")
    example = repository / "examples" / "eurosat_ms.yaml"
    tree = yaml.safe_load(example.read_text())
    ingest = tree["ingest"]
    stages = [
        {**stage, "epochs": epochs}
        for stage, epochs in zip(tree["train"]["stages"], EPOCHS, strict=True)
    ]
    source = {**ingest["source"], "uri": str(chips)}
    began = time.monotonic()
    done, summary = run_config(
        example,
        tmp_path,
        ingest={"source": source},
        train={**pretrained(example), "stages": stages},
    )
    assert done.returncode == 0, summary["reason"]
    [overall] = [s for s in summary["metrics"]["slices"] if s["slice"] == "overall"]
    low, high = overall["accuracy_interval"]
    print(
        f"accuracy {overall['candidate']['accuracy']:.2f}, 95 % {low:.2f} to {high:.2f}, of "
        f"{overall['examples']} chips, in {time.monotonic() - began:.0f} s"
    )
    assert overall["candidate"]["accuracy"] >= 0.4  # chance is 0.1

    records = tmp_path.glob("*-runs/artifacts/Ingest/examples/*/Split-test/*")
    examples = list(tf.data.TFRecordDataset(sorted(map(str, records))).as_numpy_iterator())
    model = tmp_path / "eurosat-ms-models/eurosat-ms/1"
    ask = tf.saved_model.load(model).signatures["serving_examples"]
    wanted = ask(examples=tf.constant(examples))["probabilities"].numpy()
    keys = [tf.train.Example.FromString(one).features.feature["image/key"] for one in examples]
    files = [chips / Path(key.bytes_list.value[0].decode()) for key in keys]
    reading = RasterReading(tuple(ingest["image"]["bands"]), tuple(source["band_names"]))
    with serve_in_subprocess(model.parent, model_name="eurosat-ms") as server:
        for address in (server.grpc, server.rest):
            with connect(address, model="eurosat-ms") as client:
                results = list(client.predict_files(files, rasters=reading))
            given = [list(result.prediction.probabilities.values()) for result in results]
            np.testing.assert_allclose(given, wanted, atol=1e-5)
