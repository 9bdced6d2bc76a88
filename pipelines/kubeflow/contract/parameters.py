"""Parameters of each run of a compiled pipeline, and their effect on the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.ingest.files.spans import SpanName
from pipelines.config.tree import PipelineConfig, parse_config
from pipelines.definition.kinds import Kind
from pipelines.definition.resolve import prediction_of

STRING, INTEGER = "STRING", "NUMBER_INTEGER"


@dataclass(frozen=True)
class RunParameter:
    """A parameter of a run, with its default from the configuration."""

    name: str
    kind: str
    default: str | int
    description: str


def run_parameters(config: PipelineConfig, kind: Kind = "training") -> tuple[RunParameter, ...]:
    """Returns the parameters of a pipeline, in display order."""
    if kind == "prediction":
        return _prediction_parameters(config)
    return (
        *_data_parameters(config.ingest.source.uri, config.ingest.span),
        RunParameter(
            "data_fingerprint",
            STRING,
            "",
            "Fingerprint of the data that the run is for; it stops if the source holds other data. "
            "Empty: the data that the source holds when the run starts.",
        ),
        RunParameter(
            "push_destination",
            STRING,
            config.push.model_dir,
            "The folder of models: on a mounted volume, or at s3://, gs:// or az://.",
        ),
        RunParameter("epochs", INTEGER, config.train.epochs, "Epochs of the training."),
        RunParameter(
            "steps_per_epoch",
            INTEGER,
            config.train.steps_per_epoch or 0,
            "Training steps in an epoch; 0: as many whole batches as there are.",
        ),
    )


def _data_parameters(uri: str, span: SpanName | None) -> tuple[RunParameter, ...]:
    return (
        RunParameter("data_location", STRING, uri, "Location of the source."),
        RunParameter(
            "span",
            STRING,
            "" if span is None else str(span),
            "The span to read, a number or a day, where the location has a pattern. Empty: the "
            "newest when the run starts.",
        ),
    )


def _prediction_parameters(config: PipelineConfig) -> tuple[RunParameter, ...]:
    section = prediction_of(config)
    return (
        *_data_parameters(section.source.uri, section.span),
        RunParameter(
            "model_location",
            STRING,
            section.model_base or config.model_base,
            "The folder of pushed versions: on a mounted volume, or at s3://, gs:// or az://. The "
            "newest when the run starts is used.",
        ),
        RunParameter(
            "output_location", STRING, section.output, "Folder for the predictions of each run."
        ),
    )


def with_parameters(
    config: PipelineConfig, values: Mapping[str, Any], kind: Kind = "training"
) -> PipelineConfig:
    """Returns the configuration with a run's parameters applied and validated.

    Raises:
        ConfigError: a value is invalid.
    """
    tree = config.json_tree(by_alias=True)
    reading = tree["ingest" if kind == "training" else "prediction"]
    source = reading["source"]
    if "query" in source:
        source["query"]["source"] = values["data_location"]
    else:
        source["uri"] = values["data_location"]
    reading["span"] = _span(str(values["span"]))
    if kind == "prediction":
        reading["model_base"] = values["model_location"]
        reading["output"] = values["output_location"]
        return parse_config(tree, base_dir="/", source="the run's parameters")
    tree["push"]["model_dir"] = values["push_destination"]
    tree["train"]["epochs"] = int(values["epochs"])
    tree["train"]["steps_per_epoch"] = int(values["steps_per_epoch"]) or None
    return parse_config(tree, base_dir="/", source="the run's parameters")


def _span(name: str) -> int | str | None:
    """Parses a span's name to the configuration's type: a number becomes an integer."""
    return int(name) if name.isdecimal() else name or None
