"""Code of the user's own, checked before a run reads its data."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.raster.errors import ConfigError
from components.raster.extension import PackageMissing
from pipelines.config.tree import PipelineConfig, parse_config
from pipelines.definition.extensions import (
    check_extensions,
    has_extension,
    identities,
    missing_extensions,
    require_extensions,
)


def config(**train: Any) -> PipelineConfig:
    tree = {
        "name": "photos",
        "ingest": {"source": {"kind": "folders", "uri": "photos"}},
        "train": train,
        "push": {"model_dir": "models"},
    }
    return parse_config(tree, base_dir="/nowhere")


def model(build: str, **arguments: Any) -> dict[str, Any]:
    return {"kind": "custom", "build": build, "arguments": arguments}


def test_code_that_fits_passes_and_has_an_identity() -> None:
    fitting = config(model=model("skymill_example.models:separable", width=8))
    require_extensions(fitting)
    assert missing_extensions(fitting) == []
    found = identities(fitting)
    assert list(found) == ["train.model.build"]
    assert found["train.model.build"].startswith("skymill_example.models:separable ")
    assert has_extension(fitting, "train")
    assert not has_extension(fitting, "evaluation")


def test_a_package_that_is_not_here_stops_a_run_and_a_check_says_so() -> None:
    absent = config(model=model("absent_package.models:build"))
    check_extensions(absent)
    (reason,) = missing_extensions(absent)
    assert reason.startswith("train.model.build: absent_package is not installed here")
    with pytest.raises(ConfigError, match="absent_package is not installed here"):
        require_extensions(absent)
    with pytest.raises(PackageMissing):
        identities(absent)


@pytest.mark.parametrize(
    ("build", "arguments", "message"),
    [
        ("skymill_example.models:separabel", {}, "Did you mean 'separable'"),
        ("skymill_example.models:separable", {"widht": 8}, "no argument 'widht'"),
        ("skymill_example.models:separable", {"width": 3}, "failed with ValueError"),
        ("json:JSONEncoder", {}, "it must be a keras.Model"),
    ],
)
def test_code_that_does_not_fit_stops_a_check(
    build: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^train.model.build: .*{message}"):
        check_extensions(config(model=model(build, **arguments)))


@pytest.mark.parametrize(
    ("build", "code", "reported"),
    [
        ("absent_package.models:build", 0, "not checked: train.model.build: absent_package is not"),
        ("skymill_example.nothing:build", 2, "there is no module skymill_example.nothing"),
    ],
)
def test_config_check_says_what_it_did_not_check(
    tmp_path: Path, light_skymill: Any, build: str, code: int, reported: str
) -> None:
    (tmp_path / "photos").mkdir()
    tree = config(model=model(build)).model_dump(mode="json", include={"name", "train"})
    tree |= {"ingest": {"source": {"kind": "folders", "uri": "photos"}}}
    (tmp_path / "skymill.yaml").write_text(json.dumps({**tree, "push": {"model_dir": "models"}}))
    done = light_skymill("config", "check", cwd=tmp_path)
    assert done.returncode == code
    assert reported in done.stderr
