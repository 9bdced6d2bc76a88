"""Names of files and folders in the artifacts between nodes."""

STATISTICS_FILE = "FeatureStats.pb"
SCHEMA_FILE = "schema.pbtxt"
METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.parquet"


def split_folder(uri: str, split: str) -> str:
    """Returns the folder of a split in an artifact of examples, statistics or anomalies."""
    return f"{uri.rstrip('/')}/Split-{split}"
