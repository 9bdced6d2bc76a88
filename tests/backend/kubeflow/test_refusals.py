"""The stand-in of tests/kubeflow refuses as Kubeflow's own server does, in the same words."""

import re
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import yaml

from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.errors import KubeflowError
from pipelines.kubeflow.client.follow import follow
from pipelines.kubeflow.client.server import KubeflowServer
from tests.backend.kubeflow.calls import WAIT_S, two_steps
from tests.backend.kubeflow.installation import Kubeflow
from tests.kubeflow.api_server.server import Api, api_server
from tests.kubeflow.api_server.store import Store
from tests.kubeflow.test_refused import COUNT, REFUSED, put, send, spoilt
from tests.kubeflow.tiny import recurring, submission, tiny_spec

pytestmark = pytest.mark.backend

Json = dict[str, Any]
Call = Callable[[KubeflowServer], Any]

_PLACE = re.compile(r"\(line \d+:\d+\)")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Packages that the real server accepts, but the driver or the importer of the run refuses.
_LATER = {"constantValue", "another name in taskInfo", "an importer of a path"}


def fresh() -> str:
    """A name that does not exist."""
    return str(uuid.uuid4())


def spoilt_package(name: str) -> Call:
    """A run of a package that tests/kubeflow/test_refused.py has spoilt."""
    text = spoilt(REFUSED[name][0])
    given = {"count": 3} if name == "type for parameterType" else None
    return lambda server: send(server, text, given, name=fresh())


def parameters(given: Json, changes: Json | None = None) -> Call:
    """A run with these parameters."""
    tree = tiny_spec()
    if changes:
        put(*COUNT, value=changes)(tree)
    return lambda server: send(server, yaml.safe_dump(tree), given, name=fresh())


def pipeline(server: KubeflowServer, **body: Any) -> Any:
    create = server.api.client.pipelines.pipeline_service_create_pipeline
    return server.api.call("make a pipeline", create, pipeline=body)


def twice(server: KubeflowServer) -> None:
    name = fresh()
    for _ in range(2):
        pipeline(server, display_name=name)


def version_twice(server: KubeflowServer) -> None:
    made = pipeline(server, display_name=fresh())
    for _ in range(2):
        server.catalogue.upload(made.pipeline_id, "one", submission().text)


def of_no_pipeline(server: KubeflowServer) -> None:
    server.catalogue.upload("nothing", "one", submission().text)


def ended(server: KubeflowServer, name: str) -> str:
    """The id of the run of that name."""
    return next(one.run_id for one in server.newest_runs(100) if one.name == name)


def mode(server: KubeflowServer) -> None:
    call = server.api.client.recurring_runs.recurring_run_service_enable_recurring_run
    server.api.call("switch on a schedule", call, recurring_run_id="nothing")


CALLS: dict[str, Call] = {
    **{name: spoilt_package(name) for name in REFUSED if name not in _LATER},
    "no value": parameters({}, {"parameterType": "NUMBER_INTEGER"}),
    "a text for a number": parameters({"count": "3"}),
    "a number for a text": parameters({"data_fingerprint": 7}),
    "an unknown parameter": parameters({"counts": 3}),
    "a field that the API lacks": lambda server: pipeline(server, title="x"),
    "a pipeline without a name": pipeline,
    "a pipeline twice": twice,
    "a version twice": version_twice,
    "a version of no pipeline": of_no_pipeline,
    "no run": lambda server: server.run_state("nothing"),
    "no run to stop": lambda server: server.stop("nothing"),
    "no run to retry": lambda server: server.retry("nothing"),
    "a run that has ended, to stop": lambda server: server.stop(ended(server, "ended")),
    "a run that has succeeded, to retry": lambda server: server.retry(ended(server, "ended")),
    "a schedule without a name": partial(recurring, display_name=""),
    "a cron of two fields": partial(recurring, trigger={"cron_schedule": {"cron": "1 2"}}),
    "a cron of a wrong hour": partial(
        recurring, trigger={"cron_schedule": {"cron": "0 0 25 * * *"}}
    ),
    "no interval": partial(recurring, trigger={"periodic_schedule": {"interval_second": "0"}}),
    "no concurrency": partial(recurring, max_concurrency="0"),
    "a mode that does not exist": partial(recurring, mode="ON"),
    "no schedule": mode,
}


@pytest.fixture(scope="module")
def real(installation: Kubeflow) -> KubeflowServer:
    """The server itself, with a run that has ended."""
    server = KubeflowServer(Connection(installation.endpoint))
    run_id = server.submit(two_steps(installation), run_name="ended")
    follow(server, run_id, timeout_s=WAIT_S)
    return server


@pytest.fixture
def stand_in(real: KubeflowServer, installation: Kubeflow) -> Iterator[Api]:
    with api_server(Store(mlmd=bool(installation.metadata))) as api:
        run_id = KubeflowServer(Connection(api.url)).submit(submission(), run_name="ended")
        api.store.set_state(run_id, "SUCCEEDED", {"first": "SUCCEEDED", "second": "SUCCEEDED"})
        yield api


def message(server: KubeflowServer, call: Call) -> str:
    """The error of a call, without what differs from server to server."""
    with pytest.raises(KubeflowError) as caught:
        call(server)
    text = str(caught.value).replace(server.api.connection.endpoint, "SERVER")
    return _PLACE.sub("", _UUID.sub("ID", text))


@pytest.mark.parametrize("name", CALLS)
def test_the_stand_in_refuses_in_the_servers_words(
    real: KubeflowServer, stand_in: Api, name: str
) -> None:
    own = KubeflowServer(Connection(stand_in.url))
    assert message(own, CALLS[name]) == message(real, CALLS[name])
