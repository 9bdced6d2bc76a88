"""Pipelines whose options are parsed once: Beam sees the same options as by its own parser."""

import copy

import apache_beam as beam
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.options.pipeline_options import (
    DebugOptions,
    DirectOptions,
    PipelineOptions,
    SetupOptions,
)
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, get_dofn_specs

from components.ingest.transforms import IngestOptions
from components.node.beam import make_pipeline

ARGS = (
    "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    "--ingest_processes=3",
    "--direct_num_workers=2",
    "--save_main_session",
)


def test_options_are_those_that_beam_parses() -> None:
    options = make_pipeline(ARGS).options
    assert options.view_as(IngestOptions).ingest_processes == 3
    assert options.view_as(DirectOptions).direct_num_workers == 2
    assert options.view_as(SetupOptions).save_main_session
    plain = beam.Pipeline(options=PipelineOptions(list(ARGS))).options
    assert options.get_all_options() == plain.get_all_options()


def test_what_one_view_sets_every_view_has_and_a_copy_has_not() -> None:
    options = make_pipeline(ARGS).options
    copied = copy.deepcopy(options)
    options.view_as(DebugOptions).add_experiment("one")
    assert options.view_as(DebugOptions).lookup_experiment("one")
    assert "one" in options.get_all_options()["experiments"]
    assert not copied.view_as(DebugOptions).lookup_experiment("one")


def test_an_option_that_is_no_number_is_refused() -> None:
    with pytest.raises(SystemExit):
        make_pipeline(["--ingest_processes=many"]).options.view_as(IngestOptions)


def stateful(name: str) -> type[beam.DoFn]:
    """A class of its own for each name of a state, whose methods are named alike."""
    state = beam.DoFn.StateParam(ReadModifyWriteStateSpec(name, VarIntCoder()))

    class Counting(beam.DoFn):
        def process(self, element, seen=state):
            seen.write((seen.read() or 0) + 1)
            yield seen.read()

    return Counting


def test_each_class_keeps_its_own_state_though_methods_are_inspected_once() -> None:
    make_pipeline(ARGS)
    for name in ("one", "two", "one"):
        states, timers = get_dofn_specs(stateful(name)())
        assert ([state.name for state in states], timers) == ([name], set())
    with make_pipeline(ARGS[:1]) as pipeline:
        pairs = pipeline | beam.Create([("a", 0), ("a", 0)])
        counted = pairs | beam.ParDo(stateful("counted")())
        counted | beam.CombineGlobally(sum) | beam.Map(assert_equal, 1 + 2)


def assert_equal(found: int, wanted: int) -> None:
    assert found == wanted
