"""The registry of sources: each kind of configuration has one family."""

from pathlib import Path
from typing import get_args

import pytest

from components.ingest.config import IngestConfig, SourceConfig
from components.ingest.records.family import Family, Tiled
from components.ingest.records.source import SourceOptions
from components.ingest.sources import family_of
from tests.components.ingest_geo.sources import KINDS

OPTIONS: tuple[type[SourceOptions], ...] = get_args(get_args(SourceConfig)[0])


def kind_of(options: type[SourceOptions]) -> str:
    """The kind that a configuration names."""
    return str(options.model_fields["kind"].default)


@pytest.mark.parametrize("options", OPTIONS, ids=kind_of)
def test_each_configuration_has_a_family(options: type[SourceOptions]) -> None:
    family = family_of(options.model_construct())
    assert isinstance(family, Family)
    assert isinstance(family, Tiled) == (kind_of(options) in ("scenes", "stac"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_source_names_the_files_that_a_run_reads(kind: str, tmp_path: Path) -> None:
    made = KINDS[kind](tmp_path)
    source = IngestConfig.model_validate(made.tree).source
    named = {it.key: it for it in source.input_paths()}
    assert all(Path(it.path).is_dir() for it in named.values() if it.kind == "folder")
    assert all(Path(it.path).is_file() for it in named.values() if it.kind == "file")
    for key, it in named.items():  # the key leads to the path
        value: object = made.tree["source"]
        for part in key.split("."):
            assert isinstance(value, dict)
            value = value[part]
        assert value == it.path
