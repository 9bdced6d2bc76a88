"""The guides' configuration compiles, their commands are there, their rights are those needed."""

import ast
import inspect
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import click
import kfp
import kubernetes_validate
import pytest
import yaml

from pipelines.cli.main import cli
from pipelines.config.tree import parse_config
from pipelines.kubeflow.client.connection import Connection
from pipelines.kubeflow.client.schedule import Schedule
from pipelines.kubeflow.client.schedules import Schedules
from pipelines.kubeflow.client.server import KubeflowServer
from pipelines.kubeflow.client.submission import SERVICE_ACCOUNT
from pipelines.kubeflow.compile.package import compile_package
from tests.k8s.conftest import Manifests, render, render_folder  # noqa: F401
from tests.k8s.test_schemas import NEWEST
from tests.kubeflow.api_server.server import api_server
from tests.kubeflow.tiny import submission

DIGEST = "sha256:" + "0" * 64


def own_serving(repository: Path, folder: Path, without: str = "/nothing") -> Manifests:
    """The folder of the guide's step 7, beside a checkout, rendered without one component."""
    text = (repository / "docs" / "install-kubeflow.md").read_text()
    [example] = re.findall(r"```yaml\n(# own-serving/.*?)```", text, re.DOTALL)
    lines = [line for line in example.splitlines() if f"components{without}" not in line]
    own = folder / f"own-serving-without{without.replace('/', '-')}"
    own.mkdir()
    if not (folder / "skymill").exists():
        (folder / "skymill").symlink_to(repository)
    (own / "kustomization.yaml").write_text("\n".join(lines))
    return render_folder(own)


def test_the_guides_servers_are_those_of_the_overlay_with_an_image_that_is_there(
    repository: Path,
    tmp_path: Path,
    render: Callable[[str], Manifests],  # noqa: F811
) -> None:
    own, overlay = own_serving(repository, tmp_path), render("overlays/bucket")

    def names(manifests: Manifests) -> set[tuple[str, str]]:
        return {(one["kind"], one["metadata"]["name"]) for one in manifests.resources}

    assert names(own) == names(overlay)
    images = {one["name"]: one["image"] for one in own.containers()}
    assert images["models"] == f"registry.example/skymill/pipeline@{DIGEST}"
    assert not [image for image in images.values() if image.startswith("skymill-")]
    for component, kind in (
        ("/monitoring", {"ServiceMonitor", "PrometheusRule"}),
        ("/autoscaling", {"HorizontalPodAutoscaler"}),
    ):
        left = {one["kind"] for one in own_serving(repository, tmp_path, component).resources}
        assert kind <= {one["kind"] for one in own.resources} - left


def test_the_pod_that_hands_the_claim_over_gives_it_to_the_images_user(
    repository: Path,
    render: Callable[[str], Manifests],  # noqa: F811
) -> None:
    text = (repository / "docs" / "install-kubeflow.md").read_text()
    [overrides] = re.findall(r"--overrides='(.*?)'", text, re.DOTALL)
    spec = json.loads(overrides)["spec"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "owner"}, "spec": spec}
    assert kubernetes_validate.validate(pod, NEWEST, strict=True) == NEWEST
    dockerfile = (repository / "docker" / "Dockerfile").read_text()
    [user] = re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE)
    [base] = re.findall(r"^ARG BASE=(\S+)$", dockerfile, re.MULTILINE)
    loader = render("loader").one("Pod")["spec"]
    [owner], [mounting] = spec["containers"], loader["containers"]
    assert owner["command"] == ["chown", user, mounting["volumeMounts"][0]["mountPath"]]
    assert owner["volumeMounts"] == mounting["volumeMounts"]
    assert spec["volumes"] == loader["volumes"]
    assert {owner["image"], mounting["image"]} == {base}


def test_the_guides_configuration_compiles_and_names_what_there_is(
    repository: Path,
    tmp_path: Path,
    render: Callable[[str], Manifests],  # noqa: F811
) -> None:
    text = (repository / "docs" / "install-kubeflow.md").read_text()
    [example] = re.findall(r"```yaml\n(# skymill.yaml\n.*?)```", text, re.DOTALL)
    config = parse_config(yaml.safe_load(example.replace("sha256:...", DIGEST)), "/")
    package = compile_package(config)
    steps, servers = render("pipeline"), own_serving(repository, tmp_path)
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
    assert f"The steps run as `{account}`" in " ".join(text.split())
    for name in ("k8s/pipeline", "k8s/loader", "../own-serving"):
        assert f"kubectl apply -k {name}\n" in text


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


def test_the_commands_of_the_guides_are_those_that_there_are(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines as they would be typed, with the files that they name."""
    monkeypatch.chdir(tmp_path)
    seen = set()
    for page in (repository / "README.md", *sorted((repository / "docs").glob("*.md"))):
        text = page.read_text().replace("\\\n", " ")
        for line in re.findall(r"^(?:    )?(skymill [a-z].*)$", text, re.MULTILINE):
            if "`" in line:
                continue  # prose
            words = shlex.split(line, comments=True)[1:]
            make(words)
            try:
                parse(words)
            except click.UsageError as error:
                pytest.fail(f"{page.name}: {line}: {error.format_message()}")
            seen.add(words[0])
    assert {"run", "watch", "predict", "compile", "submit", "schedule"} <= seen


def test_the_commands_of_the_prose_are_those_that_there_are(repository: Path) -> None:
    seen = []
    for page in (repository / "README.md", *sorted((repository / "docs").glob("*.md"))):
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for span in re.findall(r"`skymill\s+([a-z][^`]*)`", text):
            command, words = resolve(span.split())
            known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            asked = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            assert asked <= known, f"{page.name}: skymill {span}"
            seen += asked
    assert "--augmented" in seen


def make(words: list[str]) -> None:
    """The files and folders that a command names, empty, below the working folder."""
    for word in words:
        if word.startswith(("-", "/")) or ":" in word:
            continue
        path = Path(word)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.touch()
        else:
            path.mkdir(exist_ok=True)


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the first words name, and the words that are left for it."""
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words:
        name, *words = words
        found = command.get_command(context, name)
        assert found, name
        command = found
    return command, words


def parse(words: list[str]) -> None:
    """Raises click's error for an option or argument that a command does not have."""
    command, rest = resolve(words)
    command.make_context("skymill", rest)


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
