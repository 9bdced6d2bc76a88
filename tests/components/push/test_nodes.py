"""From a trained model to a pushed version with TFX's own runner, twice, with its cache on."""

from pathlib import Path
from typing import Any

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration import metadata
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.types import standard_artifacts

from components.baseline.component import Baseline
from components.baseline.config import BaselineConfig
from components.evaluation.component import Evaluation
from components.evaluation.config import EvaluationConfig
from components.gate.component import Stop
from components.infra_check.component import InfraCheck
from components.infra_check.config import InfraCheckConfig
from components.push.component import Push
from components.push.config import PushConfig
from serving.store.versions import list_versions
from tests.components.models import example, save_model, write_split

COMPLETE, CACHED = metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED


def importer(name: str, kind: Any, folder: Path) -> Importer:
    return Importer(str(folder), artifact_type=kind).with_id(name)


def nodes(folder: Path, at_least: float) -> list[Any]:
    examples = importer("Examples", standard_artifacts.Examples, folder / "examples")
    model = importer("Model", standard_artifacts.Model, folder / "model")
    statistics = importer("Stats", standard_artifacts.ExampleStatistics, folder / "statistics")
    schema = importer("Schema", standard_artifacts.Schema, folder / "schema")
    config = PushConfig(model_dir=str(folder / "models"))
    base = config.model_base("landcover")
    baseline = Baseline(base, BaselineConfig())
    evaluation = Evaluation(
        examples.outputs["result"],
        model.outputs["result"],
        EvaluationConfig.model_validate(
            {
                "slices": ["region"],
                "thresholds": [
                    {"metric": "accuracy", "at_least": at_least, "change": {"at_least": 0}}
                ],
                "allow": ["missing_baseline"],
            }
        ),
        baseline=baseline.outputs["baseline"],
    )
    infra = InfraCheck(model.outputs["result"], examples.outputs["result"], InfraCheckConfig())
    stops = [
        Stop(node.outputs["report"]).with_id(f"Stop.{node.id}") for node in (evaluation, infra)
    ]
    push = Push(
        infra.outputs["checked"],
        evaluation.outputs["evaluation"],
        statistics.outputs["result"],
        schema.outputs["result"],
        baseline.outputs["baseline"],
        config,
        base,
        fingerprint="f00d",
        evaluation_report=evaluation.outputs["report"],
        infra_report=infra.outputs["report"],
    )
    push.add_upstream_nodes(stops)
    return [examples, model, statistics, schema, baseline, evaluation, infra, *stops, push]


def run(folder: Path, at_least: float = 0.9) -> dict[str, list[int]]:
    """Run the pipeline; afterwards, the states of every node's executions so far."""
    connection = metadata.sqlite_metadata_connection_config(str(folder / "metadata.sqlite"))
    pipeline = Pipeline(
        "landcover",
        str(folder / "artifacts"),
        components=nodes(folder, at_least),
        enable_cache=True,
        metadata_connection_config=connection,
        beam_pipeline_args=["--runner=FnApiRunner"],
    )
    LocalDagRunner().run(pipeline)
    store = MetadataStore(connection)
    types = {kind.id: kind.name.rpartition(".")[-1] for kind in store.get_execution_types()}
    states: dict[str, list[int]] = {}
    for execution in store.get_executions():
        states.setdefault(types[execution.type_id], []).append(execution.last_known_state)
    return states


@pytest.mark.slow
def test_a_model_becomes_a_version_once_however_often_the_pipeline_runs(tmp_path: Path) -> None:
    examples = [
        example(level, "light" if level > 0.5 else "dark", {"region": "north"})
        for level in (0.1, 0.2, 0.3, 0.7, 0.8, 0.9)
    ]
    write_split(tmp_path / "examples", "test", examples)
    save_model(tmp_path / "model" / "Format-Serving", ("dark", "light"))
    for name in ("statistics/Split-train/FeatureStats.pb", "schema/schema.pbtxt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"")
    base = tmp_path / "models" / "landcover"

    run(tmp_path)
    (version,) = list_versions(base)
    assert version.number == 1
    assert (version.path / "assets.extra" / "tf_serving_warmup_requests").is_file()
    assert (version.path / "provenance" / "reports" / "infra_check.json").is_file()

    states = run(tmp_path)
    assert states["InfraCheck"] == [COMPLETE, CACHED]
    assert states["Evaluation"] == [COMPLETE, COMPLETE], "another baseline, another comparison"
    assert [v.number for v in list_versions(base)] == [1], "the same model is served already"

    with pytest.raises(Exception, match="accuracy"):
        run(tmp_path, at_least=1.1)
    assert [v.number for v in list_versions(base)] == [1], "a gate that blocks keeps it out"
