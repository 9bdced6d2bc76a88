"""File of statistics: `Split-NAME/FeatureStats.pb`, as TFX's own nodes expect."""

import tensorflow as tf
from tensorflow_metadata.proto.v0 import statistics_pb2

from components.raster.errors import DataError


def write(statistics: statistics_pb2.DatasetFeatureStatisticsList, path: str) -> None:
    """Writes a binary DatasetFeatureStatisticsList, and creates its folder."""
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(statistics.SerializeToString(deterministic=True))


def read(path: str) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Reads statistics; raises DataError if the file is missing or holds something else."""
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            return statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read())
    except Exception as error:
        raise DataError(f"no statistics at {path}: {error}; run the pipeline again") from error
