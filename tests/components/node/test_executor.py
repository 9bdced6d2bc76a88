"""Executors of nodes with Beam steps."""

import tempfile

import apache_beam as beam
from apache_beam.options.pipeline_options import StandardOptions

from components.node.executor import BeamNodeExecutor
from pipelines.config.beam import IN_PROCESS


class Squares(BeamNodeExecutor):
    def execute(self, inputs, outputs, properties):
        with self._make_beam_pipeline() as pipeline:
            runner = pipeline.options.view_as(StandardOptions).runner
            assert runner == IN_PROCESS[0].removeprefix("--runner=")
            squares = pipeline | beam.Create([1, 2, 3]) | beam.Map(lambda number: number**2)
            squares | beam.io.WriteToText(properties["path"], shard_name_template="")


def test_a_node_runs_by_the_options_it_is_given_and_leaves_no_temporary_files(
    tmp_path, monkeypatch
):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    context = BeamNodeExecutor.Context(beam_pipeline_args=list(IN_PROCESS))
    Squares(context).Do({}, {}, {"path": str(tmp_path / "squares")})
    assert sorted((tmp_path / "squares").read_text().split()) == ["1", "4", "9"]
    assert not [*folder.iterdir()]


def test_a_pipeline_of_the_context_comes_before_the_options():
    made = beam.Pipeline()
    context = BeamNodeExecutor.Context(
        beam_pipeline_args=list(IN_PROCESS), make_beam_pipeline_fn=lambda: made
    )
    assert Squares(context)._make_beam_pipeline() is made
