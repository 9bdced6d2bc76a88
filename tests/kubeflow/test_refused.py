"""Packages that a server refuses, each sent to one, and the messages that a user reads."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from components.raster.errors import ConfigError
from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.errors import KubeflowError
from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.client.submission import parse_submission
from tests.kubeflow.api_server.server import Api, api_server
from tests.kubeflow.api_server.store import Store
from tests.kubeflow.tiny import submission, tiny_spec

Tree = dict[str, Any]
Spoil = Callable[[Tree], Tree | None]


def put(*path: str, value: Any) -> Spoil:
    def spoil(tree: Tree) -> None:
        *before, last = path
        for name in before:
            tree = tree.setdefault(name, {})
        tree[last] = value

    return spoil


def dropped(*path: str) -> Spoil:
    def spoil(tree: Tree) -> None:
        *before, last = path
        for name in before:
            tree = tree[name]
        del tree[last]

    return spoil


def in_a_job(tree: Tree) -> Tree:
    return {"displayName": "tiny", "pipelineSpec": tree, "runtimeConfig": {}}


def other_importer(tree: Tree) -> None:
    tree["deploymentSpec"]["executors"]["exec-first"] = {
        "importer": {"artifactUri": {"constant": "s3://bucket/x"}}
    }
    tree["root"]["dag"]["tasks"]["first"]["taskInfo"]["name"] = "First"


COUNT = ("root", "inputDefinitions", "parameters", "count")
FIRST = ("deploymentSpec", "executors", "exec-first")
GIVEN = ("root", "dag", "tasks", "first", "inputs", "parameters", "count")

REFUSED: dict[str, tuple[Spoil, str, str]] = {
    "a PipelineJob": (in_a_job, "is a PipelineJob .*--vertex", "without --vertex"),
    "schema 2.0.0": (
        put("schemaVersion", value="2.0.0"),
        "only supports schema version 2.1.0.*Compile the package again",
        "takes schema 2.1.0, not 2.0.0",
    ),
    "an unknown field": (
        put("components", "comp-first", "lifecycle", value={}),
        "a field or a value that this version of Kubeflow does not know",
        "lifecycle",
    ),
    "a resolver": (
        put(*FIRST, value={"resolver": {}}),
        "non-container and non-importer executor not implemented.*has to become a step",
        "containers only, not a resolver",
    ),
    "constantValue": (
        put(*GIVEN, value={"runtimeValue": {"constantValue": {"intValue": "1"}}}),
        "ConstantValue not implemented",
        "constantValue is of an older schema",
    ),
    "type for parameterType": (
        put(*COUNT, value={"type": "INT", "defaultValue": 3}),
        "input parameter count has unspecified type",
        "count.type is of an older schema",
    ),
    "another name in taskInfo": (other_importer, "another name in taskInfo", ""),
    "an importer of a path": (
        put(*FIRST, value={"importer": {"artifactUri": {"constant": "/data/x"}}}),
        "no provider scheme found in artifact URI: /data/x",
        "",
    ),
    "no executor": (dropped(*FIRST), "not found in deployment config", ""),
    "a name in capitals": (
        put("pipelineInfo", "name", value="Tiny_1"),
        "must contain only lowercase",
        "",
    ),
    "no root": (dropped("root"), "finds no pipeline in the package", "no root"),
}


def send(
    server: KubeflowServer, text: str, parameters: Tree | None = None, *, name: str = "sent"
) -> str:
    """Uploads a package as it is to a new pipeline and starts a run of it."""
    client = server.api.client
    made = client.pipelines.pipeline_service_create_pipeline(pipeline={"display_name": name})
    version = server.catalogue.upload(made.pipeline_id, "one", text)
    body = {
        "display_name": "sent",
        "pipeline_version_reference": {
            "pipeline_id": made.pipeline_id,
            "pipeline_version_id": version,
        },
        "runtime_config": {"parameters": parameters or {}},
    }
    run = server.api.call("start a run", client.runs.run_service_create_run, run=body)
    return str(run.run_id)


def spoilt(spoil: Spoil) -> str:
    tree = tiny_spec()
    return yaml.safe_dump(spoil(tree) or tree)


def test_what_is_not_spoilt_is_taken(server: KubeflowServer, api: Api) -> None:
    run_id = send(server, yaml.safe_dump(tiny_spec()), {"count": 5})
    assert server.run_state(run_id).state == "PENDING"


@pytest.mark.parametrize("name", REFUSED)
def test_the_server_refuses_it_in_words(server: KubeflowServer, api: Api, name: str) -> None:
    spoil, words, _ = REFUSED[name]
    given = {"count": 3} if name == "type for parameterType" else None
    with pytest.raises(KubeflowError, match=words) as caught:
        send(server, spoilt(spoil), given)
    assert api.url in str(caught.value)
    assert not caught.value.transient
    assert not api.store.runs


@pytest.mark.parametrize("name", [name for name, case in REFUSED.items() if case[2]])
def test_most_of_it_is_reported_before_anything_is_sent(name: str) -> None:
    spoil, _, words = REFUSED[name]
    with pytest.raises(ConfigError, match=words):
        parse_submission(spoilt(spoil), "package.yaml")


@pytest.mark.parametrize(
    ("changes", "given", "words"),
    [
        ({"parameterType": "NUMBER_INTEGER"}, {}, "neither default value.*--set NAME=VALUE"),
        ({}, {"count": "3"}, "count requires type double or integer.*of that type"),
        ({}, {"data_fingerprint": 7}, "data_fingerprint requires type string"),
        ({}, {"counts": 3}, "not required by pipeline: counts.*Leave out the parameter"),
    ],
)
def test_the_server_refuses_parameters(
    server: KubeflowServer, changes: Tree, given: Tree, words: str
) -> None:
    tree = tiny_spec()
    if changes:
        put(*COUNT, value=changes)(tree)
    with pytest.raises(KubeflowError, match=words):
        send(server, yaml.safe_dump(tree), given)


def test_parameters_are_reported_before_too() -> None:
    package = submission()
    assert package.parameters({"count": "7"}) == {"count": 7}
    for given, words in (
        ({"counts": "7"}, "no parameter counts. Did you mean count?"),
        ({"count": "many"}, "'many': it has to be a whole number"),
    ):
        with pytest.raises(ConfigError, match=words):
            package.parameters(given)
    tree = tiny_spec()
    del tree["root"]["inputDefinitions"]["parameters"]["count"]["defaultValue"]
    with pytest.raises(ConfigError, match="has no default: --set count=VALUE"):
        submission(tree).parameters({})


NEWER: dict[str, tuple[str, Spoil]] = {
    "literals": ("spec", put(*COUNT, "literals", value=[1, 3])),
    "task config": (
        "spec",
        put("components", "comp-first", "taskConfigPassthroughs", value=[{"field": "ENV"}]),
    ),
    "security context": ("pod", put("securityContext", value={"runAsUser": "1000"})),
    "sub path": (
        "pod",
        put("pvcMount", value=[{"constant": "a", "mountPath": "/a", "subPath": "b"}]),
    ),
}


@pytest.mark.parametrize("name", NEWER)
def test_an_old_server_refuses_what_only_newer_ones_know(name: str) -> None:
    where, spoil = NEWER[name]
    tree, pod = tiny_spec(), dict[str, Any]()
    spoil(tree if where == "spec" else pod)
    platform = {"kubernetes": {"deploymentSpec": {"executors": {"exec-first": pod}}}}
    text = yaml.safe_dump_all([tree, {"platforms": platform}])
    for old in (False, True):
        with api_server(Store(old=old)) as api:
            server = KubeflowServer(Connection(api.url))
            if not old:
                assert send(server, text)
                continue
            with pytest.raises(KubeflowError, match=r"does not know|unknown field"):
                send(server, text)


def test_our_golden_package_is_taken_by_old_and_new_servers(repository: Any) -> None:
    text = (repository / "tests/golden/kubeflow_package.yaml").read_text()
    for old in (False, True):
        with api_server(Store(old=old)) as api:
            assert send(KubeflowServer(Connection(api.url)), text)


def test_a_request_with_a_field_that_the_api_lacks_is_refused(server: KubeflowServer) -> None:
    api = server.api.client.runs
    with pytest.raises(KubeflowError, match='unknown field "name"'):
        server.api.call("start a run", api.run_service_create_run, run={"name": "old"})
    inline = {"display_name": "inline", "pipeline_spec": in_a_job(copy.deepcopy(tiny_spec()))}
    with pytest.raises(KubeflowError, match="answered 500: .*error fetching manifest"):
        server.api.call("start a run", api.run_service_create_run, run=inline)
