"""The configuration of the guide compiles, and names what the manifests make."""

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path

import kfp
import yaml

from pipelines.config import parse_config
from pipelines.kubeflow.package import compile_package
from tests.k8s.conftest import Manifests, render  # noqa: F401

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
    assert f'service_account="{account}"' in text
    for name in ("pipeline", "overlays/bucket"):
        assert f"kubectl apply -k k8s/{name}" in text


def test_the_guides_calls_are_those_of_kubeflows_client(repository: Path) -> None:
    text = (repository / "docs" / "install-kubeflow.md").read_text()
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
