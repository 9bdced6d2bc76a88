"""The guides' configuration compiles, their commands are there, their rights are those needed."""

import ast
import inspect
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import kfp
import yaml

from pipelines.cli.main import cli
from pipelines.config import parse_config
from pipelines.kubeflow.connection import Connection
from pipelines.kubeflow.package import compile_package
from pipelines.kubeflow.schedules import Schedule, Schedules
from pipelines.kubeflow.server import KubeflowServer
from pipelines.kubeflow.submission import SERVICE_ACCOUNT
from tests.k8s.conftest import Manifests, render  # noqa: F401
from tests.kubeflow.api_server.server import api_server
from tests.kubeflow.tiny import submission

DIGEST = "sha256:" + "0" * 64


def test_the_guides_configuration_compiles_and_names_what_there_is(
    repository: Path,
    render: Callable[[str], Manifests],  # noqa: F811
) -> None:
    text = (repository / "docs" / "install-kubeflow.md").read_text()
    [example] = re.findall(r"```yaml\n(# skymill.yaml\n.*?)```", text, re.DOTALL)
    config = parse_config(yaml.safe_load(example.replace("sha256:...", DIGEST)), "/")
    package = compile_package(config)
    steps, servers = render("pipeline"), render("overlays/bucket")
    claim = steps.one("PersistentVolumeClaim")["metadata"]["name"]
    assert {volume.claim for volume in config.kubeflow.steps.volumes or ()} == {claim}
    executors = package.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert all("pvcMount" in pod and "secretAsEnv" in pod for pod in executors.values())

    [sidecar] = [
        one
        for one in servers.one("Deployment")["spec"]["template"]["spec"]["initContainers"]
        if one["name"] == "models"
    ]
    assert config.model_base in sidecar["command"]
    secrets = {one.secret for one in config.kubeflow.steps.secret_variables or ()}
    assert secrets == {sidecar["envFrom"][0]["secretRef"]["name"]}
    account = steps.one("ServiceAccount")["metadata"]["name"]
    assert account == SERVICE_ACCOUNT
    assert f"The steps run as `{account}`" in text
    for name in ("pipeline", "overlays/bucket"):
        assert f"kubectl apply -k k8s/{name}" in text


def test_the_calls_of_kubeflows_client_are_its_own(repository: Path) -> None:
    text = (repository / "docs" / "submit.md").read_text()
    program = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    called = {}
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("client."):
            method = inspect.signature(getattr(kfp.Client, ast.unparse(node.func)[7:]))
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert set(given) <= set(method.parameters)
            called[ast.unparse(node.func)] = given
    recurring = called["client.create_recurring_run"]
    assert len(ast.literal_eval(recurring["cron_expression"]).split()) == 6
    assert recurring["no_catchup"] == "True"
    for one in (recurring, called["client.create_run_from_pipeline_package"]):
        assert one["service_account"] == "'skymill-steps'"
        assert one["enable_caching"] == "None"


def test_the_commands_of_the_guides_are_those_that_there_are(repository: Path) -> None:
    commands = []
    for page in ("install-kubeflow.md", "submit.md", "kubeflow.md"):
        text = (repository / "docs" / page).read_text()
        commands += re.findall(r"^(?:    )?(skymill (?:submit|follow|schedule) .*)$", text, re.M)
    assert len(commands) >= 6
    for line in commands:
        parse(shlex.split(line, comments=True)[1:])


def parse(words: list[str]) -> None:
    """Raises click's error for an option or argument that a command does not have."""
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        name, *words = words
        found = command.get_command(context, name)
        assert found, name
        command = found
    command.make_context("skymill", words)


def test_the_rights_of_the_guide_are_those_that_are_used(repository: Path) -> None:
    text = (repository / "docs" / "submit.md").read_text()
    [block] = re.findall(r"```yaml\n(apiVersion: rbac.*?)```", text, re.DOTALL)
    granted = {
        (resource, verb)
        for rule in yaml.safe_load(block)["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    with api_server() as api:
        server = KubeflowServer(Connection(api.url))
        server.run_state(server.submit(submission(), key="k"))
        schedules = Schedules(server)
        for cron in ("0 0 2 * * *", "0 0 3 * * *"):
            schedules.put(submission(), Schedule("nightly", cron=cron))
        schedules.set_enabled("nightly", False)
        schedules.set_enabled("nightly", True)
        schedules.delete("nightly")
    assert {asked_right(line) for line in api.requests} == granted


def asked_right(request: str) -> tuple[str, str]:
    """The right that the API server asks for: a version belongs to the right of its pipeline."""
    method, path = request.split(" ")
    noun, _, rest = path.removeprefix("/apis/v2beta1/").partition("/")
    resource = {"recurringruns": "jobs"}.get(noun, noun)
    one = bool(rest) and not rest.endswith(("versions", "upload_version"))
    verb = (
        rest.partition(":")[2]
        or {
            "GET": "get" if one else "list",
            "POST": "create",
            "DELETE": "delete",
        }[method]
    )
    return resource, verb
