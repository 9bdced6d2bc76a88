"""The one configuration tree, and its reader for a user's YAML."""

import difflib
import json
import os
from collections.abc import Iterator
from typing import Any, Self, get_args

import yaml
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from components.baseline.config import BaselineConfig
from components.data_check.config import DataCheckConfig
from components.evaluation.config import EvaluationConfig
from components.evaluation.tasks.registry import evaluated_task
from components.infra_check.config import InfraCheckConfig
from components.ingest.config import IngestConfig
from components.push.card.config import CardConfig
from components.push.config import PushConfig
from components.raster.errors import ConfigError
from components.raster.frozen import Frozen, message_in
from components.raster.location import Location
from components.schema.config import SchemaConfig
from components.statistics.config import StatisticsConfig
from pipelines.config.beam import BeamConfig
from pipelines.config.gates import CustomGate
from pipelines.config.kubeflow import KubeflowConfig
from pipelines.config.watch import WatchConfig
from pipelines.prediction.config import PredictionConfig
from trainer.training.config import TrainConfig
from trainer.tune.config import TuneConfig
from trainer.tune.space import anchored, check, require_trials

_DISCRIMINATORS = ("kind", "to", "name")


class PipelineConfig(Frozen):
    """Everything a run depends on. Relative paths are taken from the configuration's folder."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_-]{0,62}$", description="Name of the pipeline and of the model."
    )
    workspace: Location = Field(
        default="skymill", description="Folder of runs, artifacts and lineage."
    )
    ingest: IngestConfig
    statistics: StatisticsConfig = StatisticsConfig()
    schema_: SchemaConfig = Field(default=SchemaConfig(), alias="schema")
    data_check: DataCheckConfig = DataCheckConfig()
    train: TrainConfig = TrainConfig()
    tune: TuneConfig | None = Field(
        default=None, description="Search over fields of train before the training."
    )
    baseline: BaselineConfig = BaselineConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    gates: tuple[CustomGate, ...] = Field(
        default=(), description="Your own gates, after the evaluation's."
    )
    infra_check: InfraCheckConfig = InfraCheckConfig()
    push: PushConfig
    prediction: PredictionConfig | None = Field(
        default=None, description="Predictions over an archive, with the newest pushed model."
    )
    card: CardConfig = CardConfig()
    beam: BeamConfig = BeamConfig()
    kubeflow: KubeflowConfig = KubeflowConfig()
    watch: WatchConfig = WatchConfig()

    @model_validator(mode="after")
    def _metrics_fit_the_task(self) -> Self:
        task = self.ingest.task
        wrong = self.evaluation.wrong_metrics(task)
        if wrong:
            raise ValueError(
                f"evaluation.thresholds names {', '.join(wrong)}, which the task {task} does not "
                f"have; the source decides the task. Use {evaluated_task(task).vocabulary()}"
            )
        return self

    @model_validator(mode="after")
    def _decisions_are_about_scores(self) -> Self:
        task = self.ingest.task
        if self.evaluation.decisions and evaluated_task(task).decision_unit is None:
            raise ValueError(
                f"evaluation.decisions needs a score of each class, and the task {task} has none: "
                "leave it out"
            )
        return self

    @model_validator(mode="after")
    def _options_are_of_the_task(self) -> Self:
        chosen, task = self.train.task, self.ingest.task
        if chosen is not None and chosen.name != task:
            raise ValueError(
                f"train.task.name is {chosen.name}, but ingest.source gives {task} examples: leave "
                "train.task out, or change the source's target or columns"
            )
        return self

    @field_validator("tune")
    @classmethod
    def _fits_train(cls, tune: TuneConfig | None, info: ValidationInfo) -> TuneConfig | None:
        train = info.data.get("train")
        if tune is None or train is None:
            return tune
        base_dir = (info.context or {}).get("base_dir", "")
        require_trials(tune, train)
        findings = check(tune, train, base_dir)
        if findings:
            details = [
                InitErrorDetails(
                    type=PydanticCustomError("tune_space", "{why}", {"why": it.message}),
                    loc=("space", it.path),
                    input=it.value,
                )
                for it in findings
            ]
            raise ValidationError.from_exception_data("tune", details)
        return anchored(tune, train, base_dir)

    @model_validator(mode="after")
    def _training_suits_the_task(self) -> Self:
        if wrong := self.train.conflict(self.ingest.task):
            raise ValueError(wrong)
        return self

    @property
    def model_base(self) -> str:
        """Folder of this model's versions, which servers watch."""
        return self.push.model_base(self.name)


def load_config(path: str) -> PipelineConfig:
    """Reads and validates a YAML file.

    Raises:
        ConfigError: the file is missing, not YAML, or has an unknown key or an invalid value; the
            message lists every finding with its key, its value and a valid one.

    >>> load_config("missing.yaml")
    Traceback (most recent call last):
        ...
    components.raster.errors.ConfigError: missing.yaml: cannot be read (...
    """
    try:
        with open(path, encoding="utf-8") as file:
            tree = yaml.load(file, Loader=_UniqueKeys)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}). Write one with: skymill init FOLDER"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from error
    return parse_config(tree, base_dir=os.path.dirname(os.path.abspath(path)), source=path)


def parse_config(tree: Any, base_dir: str, source: str = "config") -> PipelineConfig:
    """Validates a tree of plain values, as `load_config` does with a file's.

    >>> tree = {"name": "fields", "ingest": {"source": {"kind": "folders", "uri": "images"}}}
    >>> config = parse_config({**tree, "push": {"model_dir": "models"}}, base_dir="/srv")
    >>> config.model_base, config.train.epochs
    ('/srv/models/fields', 25)
    >>> parse_config({**tree, "push": {"model_dirs": "models"}}, base_dir="/srv")
    Traceback (most recent call last):
        ...
    components.raster.errors.ConfigError: config: 2 things to correct:
      push.model_dir: is required and missing.
      push.model_dirs: unknown key. Did you mean 'model_dir'?
    """
    try:
        return PipelineConfig.model_validate(tree, context={"base_dir": base_dir})
    except ValidationError as error:
        findings = "\n".join(f"  {_explain(finding)}" for finding in error.errors())
        count = error.error_count()
        noun = "thing" if count == 1 else "things"
        raise ConfigError(f"{source}: {count} {noun} to correct:\n{findings}") from error


def config_json_schema() -> str:
    """Returns the JSON schema of a configuration file, for editors.

    >>> sorted(json.loads(config_json_schema())["required"])
    ['ingest', 'name', 'push']
    """
    return json.dumps(PipelineConfig.model_json_schema(by_alias=True), indent=2) + "\n"


class _UniqueKeys(yaml.SafeLoader):
    """YAML loader that refuses duplicate keys, of which YAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _explain(finding: Any) -> str:
    if not finding["loc"] and finding["type"] == "value_error":
        return f"{finding['ctx']['error']}."  # its text names the keys that it concerns
    key = ".".join(str(part) for part in finding["loc"]) or "(the whole file)"
    if finding["type"] == "extra_forbidden":
        return f"{key}: unknown key.{_nearest(finding['loc'])}"
    if finding["type"] == "missing":
        return f"{key}: is required and missing."
    said = message_in(finding)
    if isinstance(finding["input"], dict):  # several keys that exclude each other
        return f"{key}: {said}."
    return f"{key}: {finding['input']!r} is not accepted: {said}."


def _nearest(loc: tuple[str | int, ...]) -> str:
    known = _known_keys(loc[:-1])
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known here: {', '.join(known)}." if known else ""


def _known_keys(loc: tuple[str | int, ...]) -> list[str]:
    """Returns the keys of the model at a location in the tree; of a union, of the named kind."""
    models: list[Any] = [PipelineConfig]
    for part in loc:
        if len(models) > 1:
            models = [model for model in models if _kind(model) == part]
            continue
        fields = {field.alias or name: field for name, field in models[0].model_fields.items()}
        models = list(_models_in(fields[str(part)].annotation)) if part in fields else []
        if not models:
            return []
    return sorted(field.alias or name for name, field in models[0].model_fields.items())


def _kind(model: type[BaseModel]) -> object:
    found = (model.model_fields[name] for name in _DISCRIMINATORS if name in model.model_fields)
    return next((field.default for field in found), None)


def _models_in(annotation: Any) -> Iterator[Any]:
    """Yields the configuration models that a field's type allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
