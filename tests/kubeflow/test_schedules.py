"""Recurring runs: as requested, one at a time, without bursts, on the data of their own day."""

import datetime
import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from components.raster.errors import ConfigError
from pipelines.cli.main import cli
from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.cron import checked_cron
from pipelines.kubeflow.client.errors import KubeflowError, Lost, NotFound
from pipelines.kubeflow.client.schedule import Schedule
from pipelines.kubeflow.client.schedules import Schedules
from pipelines.kubeflow.client.server import KubeflowServer
from tests.kubeflow.api_server.cron import Cron
from tests.kubeflow.api_server.server import Api, api_server
from tests.kubeflow.api_server.store import Store
from tests.kubeflow.tiny import recurring, submission, tiny_spec

MONDAY = datetime.datetime(2026, 3, 2, 12, tzinfo=datetime.UTC)
HOUR, DAY = 3600, 86400


class Clock:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.now = MONDAY.timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(clock: Clock) -> Iterator[Api]:
    with api_server(Store(clock=clock)) as running:
        yield running


@pytest.fixture
def schedules(api: Api) -> Schedules:
    return Schedules(KubeflowServer(Connection(api.url)))


def nightly(**changes: Any) -> Schedule:
    return Schedule(**{"name": "nightly", "cron": "0 0 2 * * *"} | changes)


def test_a_schedule_is_what_was_asked_for(schedules: Schedules, api: Api) -> None:
    made = schedules.put(submission(), nightly(parameters={"count": "5"}))
    assert made.change == "created"
    [one] = api.store.recurring.values()
    assert one["trigger"] == {"cron_schedule": {"cron": "0 0 2 * * *"}}
    assert (one["no_catchup"], one["max_concurrency"], one["mode"]) == (True, "1", "ENABLE")
    assert one["service_account"] == "skymill-steps"
    assert one["runtime_config"] == {"parameters": {"count": 5}}
    assert set(one["pipeline_version_reference"]) == {"pipeline_id", "pipeline_version_id"}
    assert "pipeline_spec" not in one


def test_the_same_call_again_changes_nothing(schedules: Schedules, api: Api) -> None:
    first = schedules.put(submission(), nightly())
    again = schedules.put(submission(), nightly())
    assert (again.change, again.recurring_run_id) == ("unchanged", first.recurring_run_id)
    schedules.set_enabled("nightly", False)
    assert not schedules.listed()[0].enabled
    assert schedules.put(submission(), nightly()).change == "enabled"
    assert schedules.listed()[0].enabled


@pytest.mark.parametrize(
    "changes",
    [
        {"cron": "0 30 2 * * *"},
        {"cron": None, "interval_s": HOUR},
        {"parameters": {"count": 9}},
        {"service_account": "other"},
    ],
)
def test_what_has_changed_takes_the_old_ones_place(
    schedules: Schedules, api: Api, changes: dict
) -> None:
    old = schedules.put(submission(), nightly())
    new = schedules.put(submission(), nightly(**changes))
    assert new.change == "replaced"
    assert [one.recurring_run_id for one in schedules.listed()] == [new.recurring_run_id]
    assert new.recurring_run_id != old.recurring_run_id
    order = [line.split("/")[0] + line.rpartition(":")[2][:8] for line in api.requests]
    creates = [
        i for i, line in enumerate(api.requests) if line == "POST /apis/v2beta1/recurringruns"
    ]
    assert "POST disable" in order[creates[0] : creates[1]], "never two that are switched on"


def test_a_new_package_takes_the_old_ones_place(schedules: Schedules, api: Api) -> None:
    schedules.put(submission(), nightly())
    tree = tiny_spec()
    tree["deploymentSpec"]["executors"]["exec-first"]["container"]["image"] = "a:2"
    assert schedules.put(submission(tree), nightly()).change == "replaced"


def test_a_refusal_leaves_the_old_one_at_work(schedules: Schedules, api: Api) -> None:
    schedules.put(submission(), nightly())
    bad = tiny_spec()
    bad["deploymentSpec"]["executors"]["exec-first"] = {"resolver": {}}
    with pytest.raises(KubeflowError, match="non-container"):
        schedules.put(submission(bad), nightly())
    [one] = schedules.listed()
    assert one.enabled


def test_a_run_that_is_going_on_is_not_ended(schedules: Schedules, api: Api, clock: Clock) -> None:
    schedules.put(submission(), nightly())
    clock.now += DAY
    [run] = api.store.tick()
    for change in (
        lambda: schedules.put(submission(), nightly(cron="0 0 3 * * *")),
        lambda: schedules.delete("nightly"),
    ):
        with pytest.raises(KubeflowError, match=f"its run {run['run_id']} .* has not ended"):
            change()
        [one] = schedules.listed()
        assert (one.enabled, one.when) == (True, "0 0 2 * * *")
        assert run["state"] == "PENDING"
    api.store.set_state(run["run_id"], "SUCCEEDED")
    schedules.delete("nightly")
    assert schedules.listed() == []


@pytest.mark.parametrize("deletes", [True, False])
@pytest.mark.parametrize("changes", [{}, {"cron": "0 0 3 * * *"}])
def test_a_schedule_whose_object_is_gone_is_made_anew(
    schedules: Schedules, api: Api, clock: Clock, changes: dict, deletes: bool
) -> None:
    """As after a cluster that was set up anew over the old database."""
    old = schedules.put(submission(), nightly())
    api.store.lost.add(old.recurring_run_id)
    api.store.deletes_lost = deletes
    clock.now += DAY
    assert api.store.tick() == []
    made = schedules.put(submission(), nightly(**changes))
    assert (made.change, made.enabled) == ("replaced", True)
    assert made.recurring_run_id != old.recurring_run_id
    listed = {one.recurring_run_id for one in schedules.listed()}
    assert listed == {made.recurring_run_id} | (set() if deletes else {old.recurring_run_id})
    assert (old.recurring_run_id in made.note) is not deletes

    again = schedules.put(submission(), nightly(**changes))
    assert (again.change, again.recurring_run_id) == ("unchanged", made.recurring_run_id)
    clock.now += DAY
    [run] = api.store.tick()
    assert run["recurring_run_id"] == made.recurring_run_id
    api.store.set_state(run["run_id"], "SUCCEEDED")
    assert schedules.delete("nightly").recurring_run_id == made.recurring_run_id


def test_what_a_server_does_not_delete_is_reported(schedules: Schedules, api: Api) -> None:
    old = schedules.put(submission(), nightly())
    api.store.lost.add(old.recurring_run_id)
    for change in (
        lambda: schedules.delete("nightly"),
        lambda: schedules.set_enabled("nightly", True),
    ):
        with pytest.raises(Lost, match="not in the cluster any more.*`skymill schedule create`"):
            change()


def test_runs_never_overlap(schedules: Schedules, api: Api, clock: Clock) -> None:
    schedules.put(submission(), nightly(cron="0 0 * * * *"))
    clock.now += HOUR
    [first] = api.store.tick()
    for _ in range(5):
        clock.now += HOUR
        assert api.store.tick() == []
    api.store.set_state(first["run_id"], "FAILED")
    [second] = api.store.tick()
    assert second["display_name"] == f"nightly-{int(clock.now)}", "the last that was missed"
    api.store.set_state(second["run_id"], "SUCCEEDED")
    assert api.store.tick() == [], "and none of the others"


@pytest.mark.parametrize("ours", [True, False])
def test_a_week_of_downtime_gives_one_run(
    schedules: Schedules, api: Api, clock: Clock, ours: bool
) -> None:
    made = schedules.put(submission(), nightly())
    if not ours:  # Kubeflow's default
        api.store.recurring[made.recurring_run_id]["no_catchup"] = False
    clock.now += 7 * DAY
    count = 0
    while found := api.store.tick():
        for run in found:
            api.store.set_state(run["run_id"], "SUCCEEDED")
            count += 1
    assert count == (1 if ours else 7)


def test_a_run_is_not_held_to_the_data_of_one_day(
    schedules: Schedules, api: Api, clock: Clock
) -> None:
    for name in ("data_fingerprint", "span"):
        with pytest.raises(ConfigError, match=f"{name} is '7'.* the data of one day"):
            nightly(parameters={name: "7"})
    frozen = tiny_spec()
    parameters = frozen["root"]["inputDefinitions"]["parameters"]
    parameters["data_fingerprint"]["defaultValue"] = "abc"
    with pytest.raises(ConfigError, match="data_fingerprint is 'abc'"):
        schedules.put(submission(frozen), nightly())
    assert not api.store.recurring

    values: list[dict] = []
    api.store.execute = lambda run, text, given: values.append(given)
    schedules.put(submission(), nightly())
    clock.now += DAY
    api.store.tick()
    assert values == [{"count": 3, "data_fingerprint": ""}], "Prepare takes it when the run starts"


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 2 * * *", "five fields.*Put the second before it: '0 0 2 \\* \\* \\*'"),
        ("0 2 * *", "has 4 fields and needs six"),
        ("0 0 2 * * * 2026", "has 7 fields and needs six"),
        ("0 0 24 * * *", "'24' for the hour: it goes from 0 to 23"),
        ("0 0 2 0 * *", "'0' for the day of the month: it goes from 1 to 31"),
        ("0 0 2 * * 7", "'7' for the day of the week: it goes from 0 to 6 or sun-sat"),
        ("0 0 2 * * fri-mon", "the range runs backwards"),
        ("0 */0 2 * * *", "the step after / is not a positive number"),
        ("0 0 two * * *", "'two' for the hour"),
        ("0 0 2-4-6 * * *", "'2-4-6' for the hour: the range runs backwards"),
    ],
)
def test_a_schedule_that_cannot_be_is_explained(cron: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        checked_cron(cron)


@pytest.mark.parametrize(
    "seconds",
    [
        *("*", "?", "*/1", "?/1", "0/1", "0-59", "0-59/1", "*,5", "5,?", "0-29,30-59"),
        *("*/2,1/2", "0-58/2,1-59/2", "00-059", "0/3,1/3,2/3", ",".join(map(str, range(60)))),
    ],
)
def test_every_form_that_fires_each_second_is_refused(seconds: str) -> None:
    cron = f"{seconds} 0 2 * * *"
    read, at, fired = Cron.parse(cron), MONDAY.timestamp(), set()
    for _ in range(60):
        at = read.next(at)
        fired.add(int(at) % 60)
    assert fired == set(range(60)), "what the server makes of it"
    with pytest.raises(ConfigError, match="would start a run every second. Put 0 there"):
        checked_cron(cron)


def test_some_seconds_in_a_row_are_refused_with_a_message() -> None:
    with pytest.raises(ConfigError, match="start a run at the seconds 10 and 11"):
        checked_cron("*/20,10-11 0 2 * * *")


@pytest.mark.parametrize("cron", ["*/59 * * * * *", "59,0 5-6 2 * * *", "0,59 0,59 * * * *"])
def test_the_last_second_of_a_minute_and_the_first_of_the_next_are_in_a_row(cron: str) -> None:
    with pytest.raises(ConfigError, match="start a run at the seconds 59 and 0"):
        checked_cron(cron)
    assert checked_cron("*/59 0 2 * * *"), "no other minute follows"


@pytest.mark.parametrize(
    "cron",
    [
        "0 0 2 * * *",
        "*/30 0 2 * * *",
        "0 */15 6-18 * * mon-fri",
        "0 0 9 ? jan,jul 2-6",
        "30 5/20 0 1 * ?",
        "@daily",
    ],
)
def test_a_schedule_that_we_take_the_server_takes_too(cron: str) -> None:
    assert checked_cron(cron) == cron
    Cron.parse(cron)


def test_five_fields_would_be_taken_and_misread() -> None:
    """They are refused here because the server has no objection."""
    meant, read = Cron.parse("0 0 2 * * *"), Cron.parse("0 2 * * *")
    at, hours = MONDAY.timestamp(), []
    for _ in range(3):
        at = read.next(at)
        hours.append(datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%H:%M:%S"))
    assert hours == ["12:02:00", "13:02:00", "14:02:00"]
    assert datetime.datetime.fromtimestamp(meant.next(at), datetime.UTC).hour == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trigger": {"cron_schedule": {"cron": "61 0 2 * * *"}}}, "Six fields, seconds first"),
        ({"trigger": {"cron_schedule": {"cron": "0 2 * *"}}}, "Expected 5 to 6 fields, found 4"),
        ({"trigger": {"periodic_schedule": {"interval_second": "0"}}}, "at interval to least 1"),
        ({"max_concurrency": "0"}, "at least 1 and at most 10"),
        ({"max_concurrency": "11"}, "at least 1 and at most 10"),
        ({"display_name": ""}, "name cannot be empty"),
        ({"mode": "ON"}, "mode"),
    ],
)
def test_the_server_refuses_a_schedule_in_words(
    schedules: Schedules, api: Api, changes: dict, words: str
) -> None:
    server = KubeflowServer(Connection(api.url))
    with pytest.raises(KubeflowError, match=words):
        recurring(server, **changes)
    assert recurring(server).recurring_run_id


def test_kubeflows_client_wants_pipeline_and_version_together(api: Api) -> None:
    server = KubeflowServer(Connection(api.url))
    both = server.catalogue.version(submission())
    given = {"experiment_id": server.catalogue.experiment("x"), "cron_expression": "0 0 2 * * *"}
    for one in ({"pipeline_id": both["pipeline_id"]}, {"version_id": both["pipeline_version_id"]}):
        with pytest.raises(ValueError, match="both `pipeline_id` and `version_id`"):
            server.api.client.create_recurring_run(job_name="x", **given, **one)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cron": None}, "give one of them"),
        ({"interval_s": HOUR}, "give one of them"),
        ({"cron": None, "interval_s": 5}, "the minimum is 60 s"),
    ],
)
def test_a_schedule_has_one_time(given: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        nightly(**given)


def test_the_commands(api: Api, tmp_path: Any, repository: Any) -> None:
    package = str(repository / "tests/golden/kubeflow_package.yaml")

    def skymill(*words: str) -> Any:
        return CliRunner().invoke(cli, ["schedule", *words, "--endpoint", api.url])

    assert "No schedules" in skymill("list").output
    done = skymill("create", "nightly", "-p", package, "--cron", "0 0 2 * * *")
    assert (done.exit_code, done.output) == (0, "nightly: created (0 0 2 * * *)\n")
    done = skymill("disable", "nightly")
    assert done.output == "nightly: disabled (0 0 2 * * *)\n"
    assert skymill("list").output.split()[:2] == ["nightly", "off"]
    assert skymill("enable", "nightly").output == "nightly: enabled (0 0 2 * * *)\n"
    [one] = json.loads(skymill("list", "--json").output)
    assert (one["enabled"], one["max_concurrency"], one["no_catchup"]) == (True, 1, True)
    assert skymill("delete", "nightly").output == "nightly: deleted (0 0 2 * * *)\n"
    gone = skymill("delete", "nightly")
    assert isinstance(gone.exception, NotFound)
    assert "Known: none" in str(gone.exception)
