"""Output of a search, and the examples of a search outside a run."""

import pytest
import yaml
from rich.console import Console

from components.raster.errors import ConfigError, DataError
from pipelines.config.tree import parse_config
from pipelines.local.latest import latest_examples
from pipelines.local.record import Artifact, NodeRecord, RunRecord, write_record
from pipelines.local.search_alone import best_yaml, search_alone
from pipelines.local.summary import summarise
from pipelines.local.tuning import tuning_table
from pipelines.page.render import trials_page
from trainer.tune.config import Dimension
from trainer.tune.picture import make_axes, parallel_coordinates
from trainer.tune.results import Results, TrialRow, ranked, read_results, write_results

ROWS = (
    TrialRow("0", "completed", 0.4, {"learning_rate": 0.1, "model.filters": [8]}, 3, 2, 1.5),
    TrialRow(
        "1", "failed", None, {"learning_rate": 1.0, "model.filters": [8, 16]}, message="<b>no"
    ),
    TrialRow("2", "completed", 0.2, {"learning_rate": 0.001, "model.filters": [8, 16]}, 3, 3, 2.5),
    TrialRow("3", "completed", 0.3, {"learning_rate": 0.01, "model.filters": [8]}, 3, 1, 2.0),
)
SPACE = {
    "learning_rate": Dimension(min=0.001, max=1.0, sampling="log"),
    "model.filters": Dimension(values=([8], [8, 16])),
}


def results(direction: str = "min") -> Results:
    return Results("random", "val_loss", direction, ranked(ROWS, direction))


def test_trials_are_ranked_by_what_is_better():
    assert [row.trial for row in results("min").rows] == ["2", "3", "0", "1"]
    assert [row.trial for row in results("max").rows] == ["0", "3", "2", "1"]
    assert [row.rank for row in results("max").rows] == [1, 2, 3, None]


def test_the_axes_say_where_each_trial_lies():
    rate, filters, loss = make_axes(results(), SPACE)
    # Decades are even steps on a logarithmic axis: 0.001, 0.01, 0.1, 1.
    assert rate.at == pytest.approx((0, 1 / 3, 2 / 3, 1))
    assert filters.at == (1, 0, 0, 1)
    assert [label for _, label in filters.ticks] == ["[8]", "[8, 16]"]
    assert loss.at == pytest.approx((1, 0.5, 0, None)), "the better end is on top"
    *_, loss = make_axes(results("max"), SPACE)
    assert loss.at == pytest.approx((1, 0.5, 0, None))


def test_results_come_back_from_their_files(tmp_path):
    write_results(results(), str(tmp_path))
    assert read_results(str(tmp_path)) == results()
    lines = (tmp_path / "trials.csv").read_text().splitlines()
    assert lines[0] == (
        "rank,trial,status,objective,epochs,best_epoch,seconds,learning_rate,model.filters,message"
    )
    assert lines[1] == '1,2,completed,0.2,3,3,2.5,0.001,"[8, 16]",'


def test_the_summary_of_a_run_shows_and_keeps_the_trials(tmp_path):
    found = tmp_path / "results"
    write_results(results(), str(found))
    parallel_coordinates(results(), SPACE, str(found))
    artifact = Artifact("TunerResults", str(found), 1)
    node = NodeRecord("Tuner", "complete", 1.0, {}, {"tuner_results": (artifact,)})
    record = RunRecord("run", "roofs", "2026-01-01T00:00:00+00:00", nodes=(node,))
    folder = tmp_path / "run"
    folder.mkdir()
    summary = summarise(record, str(folder))
    assert summary.tuning == results()
    assert {"trials.csv", "trials.png"} <= {path.name for path in folder.iterdir()}
    console = Console(width=120)
    with console.capture() as captured:
        console.print(tuning_table(results()))
    shown = captured.get()
    assert shown.index("0.2000") < shown.index("0.4000") < shown.index("<b>no")


def test_the_page_of_trials_trusts_no_text():
    page = trials_page(results(), b"png")
    assert "&lt;b&gt;no" in page
    assert "<b>no" not in page
    assert "random search: 3 of 4 trials" in page


def test_the_best_values_are_a_part_of_a_configuration():
    tree = yaml.safe_load(best_yaml(results()))
    assert tree == {"train": {"learning_rate": 0.001, "model": {"filters": [8, 16]}}}


def test_a_search_alone_needs_a_space_and_examples(tmp_path):
    tree = {
        "name": "roofs",
        "workspace": "work",
        "ingest": {"source": {"kind": "folders", "uri": "roofs"}},
        "push": {"model_dir": "models"},
    }
    with pytest.raises(ConfigError, match="tune: is missing"):
        search_alone(parse_config(tree, str(tmp_path)))
    tree["tune"] = {"space": {"batch_size": {"values": [8, 16]}}}
    with pytest.raises(DataError, match="no run has made examples yet"):
        search_alone(parse_config(tree, str(tmp_path)))


def test_the_newest_examples_that_are_there_are_taken(tmp_path):
    for number, there in enumerate((True, True, False)):
        examples = tmp_path / f"examples-{number}"
        if there:
            (examples / "Split-train").mkdir(parents=True)
            (examples / "Split-train" / "data.tfrecord").touch()
        artifact = Artifact("Examples", str(examples), number)
        node = NodeRecord("Ingest", "complete", 1.0, {}, {"examples": (artifact,)})
        record = RunRecord(f"2026010{number}", "roofs", "", nodes=(node,))
        write_record(str(tmp_path / "runs" / record.run_id), record)
    assert latest_examples(str(tmp_path / "runs")) == str(tmp_path / "examples-1")


def test_the_table_of_trials_names_many_fields_without_breaking_their_names():
    console = Console(width=80)
    with console.capture() as captured:
        console.print(tuning_table(results()))
    shown = captured.get()
    assert "learning_rate 0.001" in shown
    assert "model.filters [8, 16]" in shown
