"""No number of the configuration is lost or changed on its way through JSON."""

import json
import math
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo

from components.raster.errors import ConfigError
from components.raster.frozen import Frozen
from pipelines.config.tree import PipelineConfig, load_config, parse_config
from pipelines.kubeflow.contract.parameters import run_parameters, with_parameters

NOT_FINITE = (math.inf, -math.inf, math.nan)
SCENES = {
    "name": "roofs",
    "ingest": {
        "source": {"kind": "scenes", "uri": "scenes"},
        "image": {"bands": ["red"], "height_px": 32, "width_px": 32},
        "split_by": {"by": "scene"},
    },
    "push": {"model_dir": "models"},
}


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation and in all their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for argument in get_args(annotation):
        yield from models(argument)


def holding(annotation: Any, number: float) -> Any:
    """A value of an annotation that holds a number wherever a float may stand; None for none."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is float:
        return number
    if origin is Annotated:
        return holding(arguments[0], number)
    if origin in (Union, types.UnionType):
        return next((it for arm in arguments if (it := holding(arm, number)) is not None), None)
    parts = [holding(argument, number) for argument in arguments]
    if all(part is None for part in parts):
        return None
    if origin is tuple:
        return tuple(part for part in parts if part is not None)
    return {"name": parts[-1]} if issubclass(origin, Mapping) else parts


MODELS = sorted(set(models(PipelineConfig)), key=lambda model: model.__name__)
FIELDS = [
    pytest.param(field, id=f"{model.__name__}.{name}")
    for model in MODELS
    for name, field in model.model_fields.items()
    if holding(field.annotation, 1.0) is not None
]


def strict(text: str) -> Any:
    """JSON of RFC 8259, which has no NaN and no Infinity."""

    def refused(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refused)


def test_the_walk_finds_the_numbers_and_one_base_of_all_models() -> None:
    assert len(FIELDS) > 80
    assert {"ScenesSource.nodata", "TrainConfig.learning_rate"} <= {it.id for it in FIELDS}
    assert all(issubclass(model, Frozen) for model in MODELS)
    kept = {
        (model.model_config["ser_json_inf_nan"], model.model_config["allow_inf_nan"])
        for model in MODELS
    }
    assert kept == {("strings", False)}


@pytest.mark.parametrize("field", FIELDS)
def test_a_number_that_is_not_finite_is_refused_or_comes_back(field: FieldInfo) -> None:
    model = create_model("One", __base__=Frozen, value=(field.annotation, field))
    for number in NOT_FINITE:
        value = holding(field.annotation, number)
        try:
            one = model(value=value)
        except ValidationError:
            continue
        text = one.model_dump_json()
        strict(text)
        assert repr(model.model_validate_json(text)) == repr(one)
        assert repr(model.model_validate(one.json_tree())) == repr(one)


@pytest.mark.parametrize(
    ("written", "number"), [(".inf", math.inf), ("-.inf", -math.inf), (".nan", math.nan)]
)
def test_the_value_of_no_data_reaches_every_node_as_it_was_written(
    tmp_path, written, number
) -> None:
    path = tmp_path / "skymill.yaml"
    tree = SCENES["ingest"]["source"] | {"nodata": "HERE"}
    text = json.dumps(SCENES | {"ingest": SCENES["ingest"] | {"source": tree}})
    path.write_text(text.replace('"HERE"', written))
    config = load_config(str(path))
    values = {it.name: it.default for it in run_parameters(config)}
    compiled = parse_config(strict(json.dumps(config.json_tree(by_alias=True))), base_dir="/")
    for found in (
        config,
        PipelineConfig.model_validate_json(config.model_dump_json(by_alias=True)),
        compiled,
        with_parameters(compiled, values),
    ):
        assert repr(found.ingest.source.nodata) == repr(number)


def test_a_number_that_means_nothing_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"train\.learning_rate: inf .*finite"):
        parse_config(SCENES | {"train": {"learning_rate": math.inf}}, base_dir="/")
